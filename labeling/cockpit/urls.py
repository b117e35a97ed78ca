"""Addresses of the cockpit, all under a project's ``/manage/``."""

from django.urls import URLPattern, path

from labeling.cockpit import gold, log, people

urlpatterns: list[URLPattern] = [
    path("gold/", gold.gold, name="gold"),
    path("gold/new/", gold.new, name="gold_new"),
    path("qualification/", gold.qualification, name="qualification"),
    path("log/", log.log, name="log"),
    path("people/", people.people, name="people"),
    path("people/invitations/", people.links, name="invitations"),
    path("people/invalidate/", people.invalidation, name="invalidate"),
    path("people/<uuid:labeler_id>/", people.person, name="person"),
]
