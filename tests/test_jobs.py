"""Runs as jobs: their directories, their children, and what survives a worker's death."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, end, until
from django.db import connection, transaction
from runs import SFT, demonstrations, prompts
from scenes import new_project

from labeling.models import Dataset, Event
from models_zoo import registry, store
from rlhf.models import Metric, Run
from rlhf.runs import directory, jobs
from rlhf.runs.child import NICE, Child

pytest_plugins = ["workers"]

FEW = {"epochs": 1.0, "batch": 8}


@pytest.fixture
def home(settings, tmp_path):
    settings.HOME = tmp_path
    return tmp_path


@pytest.fixture
def start(home, db):
    """The shipped fine-tuned checkpoint, registered."""
    return registry.register(folder=SFT, name="stories-sft", kind="sft")


@pytest.fixture
def project(db):
    return new_project()


def new_run(project, start, algorithm="sft", **fields):
    given = {"rows": demonstrations(16), "knobs": FEW} | fields
    return jobs.create_run(project=project, algorithm=algorithm, inputs={"policy": start}, **given)


def test_directory_holds_all(project, start):
    run = new_run(project, start, seed=7)
    config = json.loads((run.directory / "config.json").read_text())
    assert run.config == config
    assert (config["algorithm"], config["seed"], config["knobs"]) == ("sft", 7, FEW)
    assert config["inputs"] == {"policy": {"path": "inputs/policy", "digest": start.digest}}
    assert config["versions"]["torch"].startswith("2.")
    manifest = json.loads((run.directory / "data" / "manifest.json").read_text())
    assert manifest["files"]["train"]["rows"] == 16
    assert run.inputs.get().checkpoint == start


def test_directory_travels(project, start, tmp_path):
    run = new_run(project, start)
    assert not os.readlink(run.directory / "inputs" / "policy").startswith("/")
    elsewhere = shutil.copytree(run.directory, tmp_path / "elsewhere", symlinks=False)
    assert store.verify(elsewhere / "inputs" / "policy", start.digest)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"knobs": {"epoch": 1.0}}, "knobs.epoch"),
        ({"knobs": {"epochs": -1.0}}, "knobs.epochs"),
        ({"algorithm": "dpo"}, "algorithm"),
        ({"rows": None}, "dataset"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"knobs": {"learning_rate": float("inf")}}, "knobs.learning_rate"),
        ({"name": "stories-sft"}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"name": "\x00"}, "name"),
        ({"algorithm": "ppo", "knobs": {}}, "inputs.reward_model"),
    ],
)
def test_bad_run_names_the_field(project, start, fields, field):
    with pytest.raises(jobs.RunError) as refused:
        new_run(project, start, **fields)
    assert refused.value.field == field
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("algorithm", "roles", "field"),
    [
        ("sft", [], "inputs.policy"),
        ("sft", ["policy", "reward_model"], "inputs.reward_model"),
        ("sample", ["policy", "../../stray"], "inputs.../../stray"),
        ("sample", ["policy", "reward_model"], "inputs.reward_model"),
    ],
)
def test_bad_inputs(project, start, home, algorithm, roles, field):
    """A role is the name of a link in the run directory: none but the known ones, each of the right kind."""
    inputs = dict.fromkeys(roles, start)
    with pytest.raises(jobs.RunError) as refused:
        jobs.create_run(project=project, algorithm=algorithm, inputs=inputs, rows=demonstrations(4))
    assert refused.value.field == field
    assert not Run.objects.exists()
    assert not list(home.glob("**/stray"))


def test_a_reward_model_answers_nothing(project, home):
    judge = registry.register(folder=SFT, name="judge", kind="reward")
    with pytest.raises(jobs.RunError, match="judge is a reward model"):
        new_run(project, judge)


def test_pretraining_reads_no_dataset(project, start):
    dataset = Dataset.objects.create(project=project, number=1, kind="demonstrations", size=1)
    with pytest.raises(jobs.RunError, match="rows of text") as refused:
        new_run(project, start, algorithm="pretrain", rows=None, knobs={}, dataset=dataset)
    assert refused.value.field == "dataset"


def test_no_room_for_the_directory(project, start, home):
    (home / "runs").write_text("in the way")
    with pytest.raises(jobs.RunError, match="mend that"):
        new_run(project, start)


def test_a_failed_write_leaves_nothing(project, start, home):
    def rows():
        yield {"messages": []}
        raise OSError(28, "No space left on device", "train.jsonl")

    with pytest.raises(jobs.RunError, match="No space left on device; free some space"):
        new_run(project, start, rows=rows())
    assert not list((home / "runs").iterdir())


@pytest.mark.slow
def test_execute(project, start):
    run = jobs.execute(new_run(project, start).pk)
    assert (run.state, run.error, run.attempts, run.pid) == ("done", "", 1, None)
    assert run.cpu_seconds > 0
    assert run.output.kind == "sft"
    assert run.output.parent == start
    assert store.verify(run.output.path, run.output.digest)
    assert run.result["demonstrations"] == 16
    assert list(run.metrics.values_list("n", flat=True)) == [0, 1]
    newest = Event.objects.filter(project=project, kind="metric").last()
    assert newest.reference == {"run": str(run.pk), "n": 1}
    states = Event.objects.filter(project=project, kind="run").values_list("reference__state", flat=True)
    assert list(states) == ["queued", "running", "done"]


def test_a_settled_run_is_left_alone(project, start):
    run = new_run(project, start)
    Run.objects.filter(pk=run.pk).update(state="done")
    assert jobs.execute(run.pk).attempts == 0


@pytest.mark.slow
def test_a_broken_config_fails_in_one_line(project, start):
    run = new_run(project, start)
    (run.directory / "config.json").write_text('{"algorithm": "sft", "knobs": {"epochs": "many"}}')
    run = jobs.execute(run.pk)
    assert run.state == "failed"
    assert run.error == "config.json: knobs.epochs: must be a number, not 'many'"


@pytest.mark.slow
def test_a_full_disk_fails_in_one_line(project, start):
    run = new_run(project, start)
    (run.directory / "metrics.jsonl").symlink_to("/dev/full")
    run = jobs.execute(run.pk)
    assert run.state == "failed"
    assert "No space left on device" in run.error
    assert "\n" not in run.error


@pytest.mark.slow
def test_a_lost_directory_fails_in_one_line(project, start):
    run = new_run(project, start)
    shutil.rmtree(run.directory)
    run = jobs.execute(run.pk)
    assert run.state == "failed"
    assert "give the path of a run directory" in run.error


@pytest.mark.slow
def test_changed_inputs_fail(project, start):
    run = new_run(project, start)
    (start.path / "config.json").write_text("{}")
    run = jobs.execute(run.pk)
    assert run.state == "failed"
    assert run.error.startswith("inputs.policy: ")


def test_busy_while_another_trains(project, start):
    import fcntl

    run = new_run(project, start)
    with (run.directory / "lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(jobs.RunBusy):
            jobs.execute(run.pk)
    run.refresh_from_db()
    assert (run.state, run.attempts) == ("queued", 0)


@pytest.mark.slow
def test_interrupted_waits_for_the_next_worker(project, start):
    run = new_run(project, start)
    with pytest.raises(jobs.Interrupted):
        jobs.execute(run.pk, interrupted=lambda: True)
    run.refresh_from_db()
    assert (run.state, run.attempts) == ("queued", 1)
    assert jobs.execute(run.pk).state == "done"


def test_gives_up_on_a_run_that_kills_its_workers(project, start):
    run = new_run(project, start)
    Run.objects.filter(pk=run.pk).update(state="running", attempts=jobs.MOST_ATTEMPTS)
    run = jobs.execute(run.pk)
    assert run.state == "failed"
    assert "memory" in run.error
    run = jobs.resume(run)
    assert (run.state, run.attempts, run.error) == ("queued", 0, "")


def test_stop_a_queued_run(project, start):
    run = jobs.stop(new_run(project, start))
    assert run.state == "stopped"
    assert jobs.execute(run.pk).state == "stopped"
    with pytest.raises(jobs.RunError, match="already"):
        jobs.stop(run)


@pytest.mark.slow
def test_stop_and_resume_a_running_one(project, start):
    run = new_run(project, start, rows=demonstrations(64))
    directory.control(run.directory, stop=True)
    run = jobs.execute(run.pk)
    assert run.state == "stopped"
    assert run.output is None
    run = jobs.execute(jobs.resume(run).pk)
    assert run.state == "done"
    steps = list(run.metrics.filter(superseded=False).values_list("step", flat=True))
    assert steps == sorted(set(steps))
    assert steps[-1] == 8


def test_superseded_metrics_are_marked(project, start):
    run = new_run(project, start)
    lines = [{"n": 0, "step": 1}, {"n": 1, "step": 2}, {"n": 2, "superseded_from": 1, "superseded_to": 1}]
    text = "".join(json.dumps(line) + "\n" for line in [*lines, {"n": 3, "step": 2}])
    (run.directory / "metrics.jsonl").write_text(text + '{"n": 4, "st')
    follower = jobs.Follower(run)
    follower.follow()
    follower.follow()
    assert list(run.metrics.values_list("n", "superseded")) == [(0, False), (1, True), (2, True), (3, False)]


def waiting() -> int:
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from procrastinate_jobs where task_name = 'rlhf.execute_run'")
        return cursor.fetchone()[0]


def test_enqueue_is_part_of_the_transaction(project, start):
    run = new_run(project, start)
    before = waiting()
    try:
        with transaction.atomic():
            jobs.enqueue(run)
            raise RuntimeError
    except RuntimeError:
        pass
    assert waiting() == before
    jobs.enqueue(run)
    jobs.enqueue(run)
    assert waiting() == before + 1


def test_the_worker_needs_no_torch():
    code = (
        "import django, sys; django.setup(); import rlhf.management.commands.worker; "
        "from procrastinate.contrib.django import app; app.perform_import_paths(); "
        "assert 'rlhf.execute_run' in app.tasks; "
        "print({'torch', 'transformers', 'datasets'} & set(sys.modules))"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "deploy.settings"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == "set()", done.stderr


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.slow
def test_kill_9_of_the_worker(new_worker, project, start):
    knobs = {"updates": 12, "rollouts": 16, "max_new_tokens": 40, "checkpoint_every": 2, "kl_stop": 0.0}
    judged = {"policy": start, "reward_model": jobs.execute(reward_run(project, start).pk).output}
    run = jobs.create_run(project=project, algorithm="ppo", inputs=judged, rows=prompts(32), knobs=knobs)
    jobs.enqueue(run)
    worker = new_worker()
    until(lambda: run.metrics.count() >= 3, seconds=90)
    run.refresh_from_db()
    trainer = run.pid
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    new_worker()
    until(lambda: not alive(trainer), seconds=10)

    def settled() -> bool:
        run.refresh_from_db()
        return run.state not in jobs.OPEN

    until(settled, seconds=120)
    assert (run.state, run.attempts, run.error) == ("done", 2, "")
    numbers = list(Metric.objects.filter(run=run).values_list("n", flat=True))
    assert numbers == list(range(len(numbers)))
    steps = list(run.metrics.filter(superseded=False).values_list("step", flat=True))
    assert steps == list(range(1, 13))
    assert run.output.kind == "policy"


@pytest.mark.slow
def test_a_worker_asked_to_stop_hands_its_run_on(new_worker, project, start):
    run = new_run(project, start, rows=demonstrations(400), knobs={"epochs": 2.0, "checkpoint_every": 5})
    jobs.enqueue(run)
    worker = new_worker()
    until(lambda: run.metrics.count() >= 1, seconds=60)
    run.refresh_from_db()
    trainer = run.pid
    end(worker)
    run.refresh_from_db()
    assert not alive(trainer)
    assert run.state == "queued"
    new_worker()
    until(lambda: Run.objects.get(pk=run.pk).state == "done", seconds=90)


def reward_run(project, start):
    from runs import rankings

    return jobs.create_run(
        project=project,
        algorithm="reward",
        inputs={"policy": start},
        rows=rankings(8),
        knobs={"epochs": 1, "folds": 2, "normalise_on": 16},
    )


def test_a_trainer_gives_way_to_people(tmp_path):
    child = Child(algorithm="sft", folder=tmp_path)
    try:
        assert os.getpriority(os.PRIO_PROCESS, child.pid) == os.getpriority(os.PRIO_PROCESS, 0) + NICE
    finally:
        child.end()
