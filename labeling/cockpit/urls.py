"""Addresses of the cockpit, all under a project's ``/manage/``."""

from django.urls import URLPattern, path

from labeling.cockpit import log

urlpatterns: list[URLPattern] = [
    path("log/", log.log, name="log"),
]
