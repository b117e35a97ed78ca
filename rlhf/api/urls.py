"""Addresses of training's part of the API, all under ``/api/``."""

from django.urls import path

from rlhf.api import doors as api

urlpatterns = [
    path("projects/<slug:slug>/runs/", api.Runs.as_view()),
    path("runs/<uuid:run_id>/", api.OneRun.as_view()),
    path("runs/<uuid:run_id>/metrics/", api.RunMetrics.as_view()),
    path("runs/<uuid:run_id>/rollouts/", api.RunRollouts.as_view()),
    path("runs/<uuid:run_id>/stop/", api.RunStop.as_view()),
    path("runs/<uuid:run_id>/resume/", api.RunResume.as_view()),
    path("projects/<slug:slug>/rounds/", api.Rounds.as_view()),
    path("rounds/<int:round_id>/", api.OneRound.as_view()),
    path("rounds/<int:round_id>/start/", api.RoundStart.as_view()),
    path("rounds/<int:round_id>/restart/", api.RoundRestart.as_view()),
    path("rounds/<int:round_id>/promote/", api.RoundPromote.as_view()),
    path("rounds/<int:round_id>/refuse/", api.RoundRefuse.as_view()),
    path("checkpoints/", api.Checkpoints.as_view()),
    path("checkpoints/<int:checkpoint_id>/", api.OneCheckpoint.as_view()),
]
