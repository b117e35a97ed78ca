"""Addresses of the cockpit, all under a project's ``/manage/``."""

from django.urls import URLPattern, path

from labeling.cockpit import gold, log, people, progress, prompts, quality, setup

urlpatterns: list[URLPattern] = [
    path("", progress.progress, name="progress"),
    path("prompts/", prompts.prompts, name="prompts"),
    path("prompts/new/", prompts.new_prompts, name="new_prompts"),
    path("prompts/<int:import_id>/", prompts.one_import, name="import"),
    path("prompts/<int:import_id>/refused.csv", prompts.refused_rows, name="refused_rows"),
    path("settings/", setup.settings, name="settings"),
    path("settings/pause/", setup.pause, name="pause"),
    path("gold/", gold.gold, name="gold"),
    path("gold/new/", gold.new, name="gold_new"),
    path("qualification/", gold.qualification, name="qualification"),
    path("log/", log.log, name="log"),
    path("people/", people.people, name="people"),
    path("people/invitations/", people.links, name="invitations"),
    path("people/invalidate/", people.invalidation, name="invalidate"),
    path("people/<uuid:labeler_id>/", people.person, name="person"),
    path("quality/", quality.quality, name="quality"),
]
