"""The API of runs, rounds and checkpoints: who may, what comes back, what a refusal says."""

from __future__ import annotations

import json

import pytest
from rest_framework.test import APIClient
from runs import SFT, demonstrations
from scenes import new_labeler, new_project

from labeling.models import Task
from models_zoo import registry
from rlhf.models import Metric, Run
from rlhf.rounds import loop
from rlhf.runs import jobs

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(settings, tmp_path):
    settings.HOME = tmp_path
    checkpoint = registry.register(folder=SFT, name="stories-sft", kind="sft", figures={"loss_last": 0.4})
    return new_project(current_checkpoint=checkpoint)


def as_member(project, role="engineer") -> APIClient:
    client = APIClient()
    client.force_authenticate(new_labeler(project, role=role).user)
    return client


@pytest.fixture
def engineer(project):
    return as_member(project)


@pytest.fixture
def run(project):
    return jobs.create_run(
        project=project,
        algorithm="sft",
        inputs={"policy": project.current_checkpoint},
        rows=demonstrations(4),
    )


def test_labelers_may_not(project, run):
    round = loop.current_round(project)
    labeler, stranger = as_member(project, "labeler"), as_member(None)
    for address in (
        f"projects/{project.slug}/runs/",
        f"projects/{project.slug}/rounds/",
        f"runs/{run.pk}/",
        f"runs/{run.pk}/metrics/",
        f"rounds/{round.pk}/",
    ):
        assert labeler.get(f"/api/{address}").status_code == 403, address
        assert stranger.get(f"/api/{address}").status_code == 404, address
    for verb in (f"runs/{run.pk}/stop/", f"rounds/{round.pk}/start/", f"rounds/{round.pk}/promote/"):
        assert labeler.post(f"/api/{verb}").status_code == 403, verb
    checkpoint = project.current_checkpoint
    assert labeler.get(f"/api/checkpoints/{checkpoint.pk}/").status_code == 404
    assert labeler.get("/api/checkpoints/").json()["results"] == []
    run.refresh_from_db()
    assert run.state == "queued"


def test_runs(project, engineer, run):
    listed = engineer.get(f"/api/projects/{project.slug}/runs/").json()["results"]
    assert [each["id"] for each in listed] == [str(run.pk)]
    one = engineer.get(f"/api/runs/{run.pk}/").json()
    assert one == listed[0]
    assert one["inputs"] == {"policy": {"id": project.current_checkpoint.pk, "name": "stories-sft"}}
    assert (one["state"], one["progress"], one["output"]) == ("queued", None, None)


def test_a_list_of_runs_costs_no_query_a_run(project, engineer, run, django_assert_max_num_queries):
    def listed() -> int:
        with django_assert_max_num_queries(100) as queries:
            assert engineer.get(f"/api/projects/{project.slug}/runs/").status_code == 200
        return len(queries)

    alone = listed()
    for seed in (2, 3):
        policy = {"policy": project.current_checkpoint}
        jobs.create_run(project=project, algorithm="sft", inputs=policy, rows=demonstrations(2), seed=seed)
    assert listed() == alone


def test_metrics_since(engineer, run):
    for n in range(4):
        Metric.objects.create(run=run, n=n, step=n + 1, values={"loss": 1 / (n + 1)}, superseded=n == 1)
    (run.directory / "progress.json").write_text(json.dumps({"step": 4, "of": 8, "eta_s": 2.5}))
    body = engineer.get(f"/api/runs/{run.pk}/metrics/?since=1").json()
    assert [each["n"] for each in body["metrics"]] == [2, 3]
    assert body["metrics"][1] == {"n": 3, "step": 4, "superseded": False, "loss": 0.25}
    assert body["progress"] == {"step": 4, "of": 8, "eta_s": 2.5}
    every = engineer.get(f"/api/runs/{run.pk}/metrics/").json()["metrics"]
    assert [each["superseded"] for each in every] == [False, True, False, False]
    assert engineer.get(f"/api/runs/{run.pk}/metrics/?since=x").status_code == 400


def test_rollouts(engineer, run):
    rows = [{"step": step, "prompt": "p", "completion": "c", "reward": 0.1} for step in (1, 1, 2)]
    (run.directory / "rollouts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert len(engineer.get(f"/api/runs/{run.pk}/rollouts/").json()["rollouts"]) == 1
    assert len(engineer.get(f"/api/runs/{run.pk}/rollouts/?step=1").json()["rollouts"]) == 2


def test_stop_and_resume(engineer, run):
    assert engineer.post(f"/api/runs/{run.pk}/stop/").json()["state"] == "stopped"
    again = engineer.post(f"/api/runs/{run.pk}/stop/")
    assert (again.status_code, again.json()["type"]) == (409, "urn:tutelage:not-now")
    assert engineer.post(f"/api/runs/{run.pk}/resume/").json()["state"] == "queued"


def test_create_a_run(project, engineer):
    new_task(project)
    body = {"algorithm": "sample", "inputs": {"policy": "stories-sft"}, "knobs": {"k": 2}, "seed": 3}
    answer = engineer.post(f"/api/projects/{project.slug}/runs/", body, format="json")
    assert answer.status_code == 201, answer.json()
    assert Run.objects.get().config["seed"] == 3


def new_task(project, **fields) -> Task:
    import scenes

    return scenes.new_task(project, **fields)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"algorithm": "dpo"}, "algorithm"),
        ({"knobs": {"kk": 1}}, "knobs.kk"),
        ({"inputs": {"policy": "nobody"}}, "inputs"),
        ({"seed": -1}, "seed"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_bad_run(project, engineer, change, field):
    new_task(project)
    body = {"algorithm": "sample", "inputs": {"policy": "stories-sft"}} | change
    answer = engineer.post(f"/api/projects/{project.slug}/runs/", body, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field


def test_rounds(project, engineer):
    body = {"kind": "preferences", "label_target": 4}
    opened = engineer.post(f"/api/projects/{project.slug}/rounds/", body, format="json")
    assert opened.status_code == 201, opened.json()
    round = opened.json()
    assert (round["number"], round["label_target"], round["labels"], round["due"]) == (1, 4, 0, False)
    started = engineer.post(f"/api/rounds/{round['id']}/start/", {}, format="json")
    assert (started.status_code, started.json()["errors"][0]["field"]) == (400, "labels")
    refused = engineer.post(f"/api/rounds/{round['id']}/promote/", {}, format="json")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:tutelage:not-now")
    bad = engineer.post(f"/api/projects/{project.slug}/rounds/", {"kind": "x"}, format="json")
    assert bad.status_code == 400
    listed = engineer.get(f"/api/projects/{project.slug}/rounds/").json()["results"]
    assert [each["id"] for each in listed] == [round["id"]]


def test_a_round_with_steps(project, engineer):
    from labeling import annotate, queue

    labeler = new_labeler(project)
    new_task(project)
    lease = queue.lease_next(labeler=labeler, project=project)
    tiers = [[candidate] for candidate in lease.shown_order]
    annotate.submit(lease_id=lease.pk, labeler=labeler, submission_id=lease.pk, answer={"tiers": tiers})
    round = loop.current_round(project)
    body = engineer.post(f"/api/rounds/{round.pk}/start/", {}, format="json").json()
    assert body["state"] == "training"
    assert [step["name"] for step in body["steps"]] == [
        "freeze",
        "reward",
        "ppo",
        "sample",
        "evaluate",
        "tasks",
    ]
    again = engineer.post(f"/api/rounds/{round.pk}/start/", {}, format="json")
    assert (again.status_code, again.json()["detail"][:8]) == (409, "Round 1 ")
    bad = engineer.post(f"/api/rounds/{round.pk}/restart/", {"step": "sleep"}, format="json")
    assert bad.status_code == 409


def test_checkpoints(project, engineer):
    listed = engineer.get("/api/checkpoints/").json()["results"]
    assert [each["name"] for each in listed] == ["stories-sft"]
    one = engineer.get(f"/api/checkpoints/{listed[0]['id']}/").json()
    assert (one["kind"], one["figures"]) == ("sft", {"loss_last": 0.4})
    assert engineer.get("/api/checkpoints/99999/").status_code == 404
