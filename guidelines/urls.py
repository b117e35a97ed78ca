"""Addresses of the guideline pages."""

from django.urls import path

from guidelines import views

app_name = "guidelines"
urlpatterns = [
    path("guidelines/<slug:slug>/", views.guideline, name="guideline"),
    path("guidelines/<slug:slug>/edit/", views.edit, name="edit"),
    path("guidelines/<slug:slug>/preview/", views.preview, name="preview"),
    path("guidelines/<slug:slug>/effects/", views.effects, name="effects"),
    path("guidelines/<slug:slug>/diff/", views.diff, name="differences"),
    path("guidelines/<slug:slug>/diff/<int:before>/<int:after>/", views.diff, name="diff"),
    path("guidelines/<slug:slug>/<int:number>/", views.version, name="version"),
]
