"""Addresses of the cockpit, all under a project's ``/manage/``."""

from django.urls import URLPattern, path

from labeling.cockpit import log, people

urlpatterns: list[URLPattern] = [
    path("log/", log.log, name="log"),
    path("people/", people.people, name="people"),
    path("people/invitations/", people.links, name="invitations"),
    path("people/invalidate/", people.invalidation, name="invalidate"),
    path("people/<uuid:labeler_id>/", people.person, name="person"),
]
