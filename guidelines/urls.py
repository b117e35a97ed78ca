"""Addresses of the guideline pages."""

from django.urls import path

from guidelines import views

app_name = "guidelines"
urlpatterns = [
    path("guidelines/<slug:slug>/", views.guideline, name="guideline"),
    path("guidelines/<slug:slug>/edit/", views.edit, name="edit"),
    path("guidelines/<slug:slug>/preview/", views.preview, name="preview"),
    path("guidelines/<slug:slug>/<int:number>/", views.version, name="version"),
]
