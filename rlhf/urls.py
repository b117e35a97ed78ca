"""Pages of the loop: project home, rounds, runs, checkpoints, datasets."""

from django.urls import include, path

from rlhf import views

app_name = "rlhf"
urlpatterns = [
    path("api/", include("rlhf.api.urls")),
    path("projects/<slug:slug>/", views.project, name="project"),
    path("projects/<slug:slug>/auto-start/", views.auto_start, name="auto_start"),
    path("projects/<slug:slug>/rounds/", views.rounds, name="rounds"),
    path("projects/<slug:slug>/rounds/<int:number>/", views.round_page, name="round"),
    path("projects/<slug:slug>/rounds/<int:number>/<slug:verb>/", views.change_round, name="change_round"),
    path("projects/<slug:slug>/runs/", views.runs, name="runs"),
    path("projects/<slug:slug>/checkpoints/", views.checkpoints, name="checkpoints"),
    path("projects/<slug:slug>/datasets/", views.datasets, name="datasets"),
    path("projects/<slug:slug>/datasets/freeze/", views.freeze, name="freeze"),
    path("runs/<uuid:run_id>/", views.run, name="run"),
    path("runs/<uuid:run_id>/<slug:verb>/", views.change_run, name="change_run"),
    path("checkpoints/<int:checkpoint_id>/", views.checkpoint, name="checkpoint"),
]
