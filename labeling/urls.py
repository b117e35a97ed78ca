"""Addresses of labeling: the labelers' pages, and its part of the API."""

from django.urls import include, path

from labeling import views
from labeling.cockpit import setup
from labeling.cockpit.join import join
from labeling.qualification import pages as entrance

app_name = "labeling"

urlpatterns = [
    path("", views.home, name="home"),
    path("join/<slug:secret>/", join, name="join"),
    path("messages/<int:pk>/read/", views.message_read, name="message_read"),
    path("sw.js", views.service_worker, name="service_worker"),
    path("projects/new/", setup.new_project, name="new_project"),
    path("projects/<slug:slug>/work/", views.work, name="work"),
    path("projects/<slug:slug>/work/<slug:kind>/", views.work, name="work"),
    path("projects/<slug:slug>/left/", views.left, name="left"),
    path("projects/<slug:slug>/pictures/<slug:sha256>", views.picture, name="picture"),
    path("projects/<slug:slug>/preview/", views.preview, name="preview"),
    path("projects/<slug:slug>/guideline/<int:number>/", views.drawer, name="drawer"),
    path("projects/<slug:slug>/guideline/<int:number>/news/", views.guideline_news, name="guideline_news"),
    path("projects/<slug:slug>/qualification/", entrance.entrance, name="entrance"),
    path("projects/<slug:slug>/practice/", entrance.practise, name="practice"),
    path("projects/<slug:slug>/practice/work/", entrance.practice_work, name="practice_work"),
    path("projects/<slug:slug>/practice/<int:annotation_id>/", entrance.practised, name="practised"),
    path("projects/<slug:slug>/grading/", entrance.grading, name="grading"),
    path("api/", include("labeling.api.urls")),
    path("projects/<slug:slug>/ledger/", views.project_ledger, name="ledger"),
    path("projects/<slug:slug>/manage/", include("labeling.cockpit.urls")),
    path("account/hours/", views.hours, name="hours"),
    path("account/keys/", views.key_list, name="keys"),
    path("account/reading/", views.reading, name="reading"),
    path("account/tokens/", views.token_list, name="tokens"),
    path("account/tokens/<int:pk>/revoke/", views.token_revoke, name="token_revoke"),
]
