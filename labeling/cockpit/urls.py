"""Addresses of the cockpit, all under a project's ``/manage/``."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
