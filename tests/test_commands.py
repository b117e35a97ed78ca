"""Commands of training: instant help, one line on bad input, JSON for programs, a real result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT
from django.core.management import call_command
from django.core.management.base import CommandError
from runs import BASE, SFT, demonstrations
from scenes import new_labeler, new_project, new_task

from labeling.incoming import intake
from models_zoo import registry, stories
from models_zoo.models import Checkpoint
from rlhf.models import Run

EVALUATE = ["--project", "{slug}", "--checkpoint", "sft", "--against", "base", "--taste", "kind"]
COMMANDS = ["pretrain", "train", "sample", "evaluate", "round", "register", "worker", "demo"]


@pytest.fixture
def project(settings, tmp_path, db):
    settings.HOME = tmp_path / "home"
    base = registry.register(folder=BASE, name="base", kind="base")
    sft = registry.register(folder=SFT, name="sft", kind="sft", parent=base)
    project = new_project(current_checkpoint=sft)
    rows = [
        {"prompt": one.text, "split": split, "words": [one.animal, one.thing]}
        for split in ("train", "heldout")
        for one in stories.prompts(split)[:6]
    ]
    intake.import_prompts(project=project, rows=rows, source="the grammar", user=None)
    return project


def command(*arguments, capsys) -> dict:
    call_command(*map(str, arguments), "--json")
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


@pytest.mark.parametrize("name", COMMANDS)
def test_help_needs_no_torch_and_no_database(name):
    code = f"import sys; sys.argv = ['manage.py', '{name}', '--help']; import manage, atexit\n" + (
        "atexit.register(lambda: print('TORCH', 'torch' in sys.modules))\nmanage.main()"
    )
    environment = {**os.environ, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
    assert "TORCH False" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "sft", "--project", "nowhere"], "no project 'nowhere'"),
        (["train", "sft", "--project", "{slug}"], "manage.py freeze --project {slug} --kind demonstrations"),
        (["train", "ppo", "--project", "{slug}"], "no reward checkpoint"),
        (["train", "sft", "--project", "{slug}", "--from", "nobody"], "no checkpoint 'nobody'"),
        (["train", "sft", "--project", "{slug}", "--dataset", "7"], "no dataset 7"),
        (["sample", "--project", "{slug}", "--output", "x", "--set", "k"], "KNOB=VALUE"),
        (["sample", "--project", "{slug}", "--output", "x", "--set", "k=many"], "'many' is no number"),
        (["sample", "--project", "{slug}", "--output", "x", "--set", "kk=2"], "knobs.kk"),
        (["sample", "--project", "{slug}", "--output", "x", "-k", "0"], "knobs.k: must be above 0"),
        (["sample", "--project", "{slug}", "--tasks", "--heldout"], "held-out prompts only judge"),
        (["evaluate", "--project", "{slug}", "--checkpoint", "sft", "--against", "base"], "Name a judge"),
        (["evaluate", *EVALUATE, "--prompts", "-1"], "--prompts must be 1 or more"),
        (["evaluate", *EVALUATE, "--set", "temperature=NaN"], "knobs.temperature: must be"),
        (["evaluate", *EVALUATE, "--set", "temperature=Infinity"], "knobs.temperature: must be"),
        (["evaluate", *EVALUATE, "--seed", "-1"], "seed: must lie between 0 and"),
        (["round", "start", "--project", "{slug}"], "labels: "),
        (["round", "restart", "--project", "{slug}"], "No round of {slug} has been trained yet"),
        (["round", "status", "--project", "{slug}", "--number", "9"], "no round 9"),
        (["register", "/nowhere", "--name", "x", "--kind", "sft"], "/nowhere is not a folder"),
        (["register", "{sft}", "--name", "x", "--kind", "reward", "--current-of", "{slug}"], "--current-of"),
        (["pretrain", "/nowhere.jsonl", "--from", "base", "--name", "x"], "/nowhere.jsonl"),
        (["worker", "--runs", "0"], "--runs must be above 0"),
        (["demo", "--rankings", "0"], "--rankings must be 1 or more"),
        (["demo", "--seed", "-1"], "--seed must lie between 0 and"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_bad_input_is_one_line(project, arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError) as refused:
        call_command(*(each.format(slug=project.slug, sft=SFT) for each in arguments))
    assert words.format(slug=project.slug) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.returncode != 0
    assert not Run.objects.filter(state="done").exists()


def test_a_worker_without_a_database_says_so():
    environment = {**os.environ, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    done = subprocess.run(
        [sys.executable, "manage.py", "worker"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("CommandError: the database does not answer: ")
    assert "Traceback" not in done.stderr


def test_register(project, capsys):
    found = command("register", SFT, "--name", "mine", "--kind", "sft", "--parent", "base", capsys=capsys)
    assert found["digest"] == Checkpoint.objects.get(name="mine").digest
    again = command(
        "register", SFT, "--name", "mine", "--kind", "sft", "--current-of", project.slug, capsys=capsys
    )
    assert again["id"] == found["id"]
    project.refresh_from_db()
    assert project.current_checkpoint.name == "mine"


def test_round_status(project, capsys):
    new_task(project)
    new_labeler(project)
    found = command("round", "status", "--project", project.slug, capsys=capsys)
    assert (found["number"], found["kind"], found["state"]) == (1, "preferences", "labeling")
    call_command("round", "status", "--project", project.slug)
    assert f"round 1 of {project.slug} (preferences): labeling, 0 of 15 labels" in capsys.readouterr().out


@pytest.mark.slow
def test_train_and_evaluate(project, capsys):
    rows = [{"messages": row["messages"]} for row in demonstrations(24)]
    intake.import_demonstrations(project=project, rows=rows, source="the grammar", user=None)
    call_command("freeze", "--project", project.slug, "--kind", "demonstrations")
    capsys.readouterr()
    trained = command(
        "train", "sft", "--project", project.slug, "--set", "epochs=1", "--name", "tuned", capsys=capsys
    )
    assert (trained["state"], trained["checkpoint"], trained["demonstrations"]) == ("done", "tuned", 24)
    assert Checkpoint.objects.get(name="tuned").parent.name == "base"
    measured = command(
        "evaluate",
        *("--project", project.slug, "--checkpoint", "sft", "--against", "base"),
        *("--taste", "kind", "--prompts", 4),
        capsys=capsys,
    )
    assert measured["answers"] == 8
    assert measured["gold_win_rate"] > 0.5


@pytest.mark.slow
def test_sample_into_a_file_and_into_the_queue(project, capsys, tmp_path):
    where = tmp_path / "answers.jsonl"
    command("sample", "--project", project.slug, "--prompts", 2, "-k", 3, "--output", where, capsys=capsys)
    answers = [json.loads(line) for line in where.read_text().splitlines()]
    assert len(answers) == 6
    found = command("sample", "--project", project.slug, "--prompts", 2, "--tasks", capsys=capsys)
    assert found["tasks"] == 2 == project.tasks.open().filter(round_number=1).count()


@pytest.mark.slow
def test_pretrain_from_nothing(project, capsys, tmp_path):
    blank = tmp_path / "blank"
    blank.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (blank / name).write_bytes((BASE / name).read_bytes())
    text = tmp_path / "text.jsonl"
    text.write_text('{"text": "Once a fox found a kite."}\n' * 100)
    made = command(
        "pretrain",
        text,
        "--from",
        blank,
        "--name",
        "new",
        "--set",
        "steps=3",
        "--set",
        "context=32",
        capsys=capsys,
    )
    assert made["state"] == "done"
    assert Checkpoint.objects.get(name="new").kind == "base"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_demo(tmp_path):
    environment = {**os.environ, "TUTELAGE_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    environment.pop("DATABASE_URL", None)
    wishes = ["--short", "--force", "--rankings", "6", "--labelers", "2", "--json"]
    done = subprocess.run(
        [sys.executable, "manage.py", "demo", *wishes],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.strip().splitlines()[-1])
    kept = json.loads((tmp_path / "demo" / "report.json").read_text())
    assert report | {"report": None} == kept | {"report": None}
    assert kept["sft"]["loss_last"] < kept["sft"]["loss_first"]
    assert kept["labels"]["count"] == 6
    assert kept["queue"]["tasks_from_new_checkpoint"] > 0
    for key in ("sft", "ppo"):
        assert (Path(kept[key]["checkpoint"]) / "model.safetensors").is_file()
    prompts = Path(kept["heldout_prompts"]).read_text().splitlines()
    assert set(json.loads(prompts[0])) == {"messages", "words"}
    # Nothing is left running: web server and worker, and the Postgres that only it used.
    assert not [pid for pid in os.listdir("/proc") if pid.isdigit() and _belongs(pid, str(tmp_path))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ends", "words"),
    [("ctrl-c", "stopped"), ("impatient", "stopped"), ("postgres", "The database is not answering")],
)
def test_demo_ends_in_one_line(tmp_path, ends, words):
    environment = {**os.environ, "TUTELAGE_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    environment.pop("DATABASE_URL", None)
    demo = subprocess.Popen(
        ["timeout", "120", sys.executable, "manage.py", "demo", "--short"],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in demo.stderr:
        if "freeze" in line:
            break
    if ends == "ctrl-c":
        demo.send_signal(signal.SIGINT)
    elif ends == "impatient":
        for pause in (0.2, 0.3, 0.4, 0):
            # A group of its own, as `timeout` makes it, is what a terminal's Ctrl-C reaches.
            os.killpg(demo.pid, signal.SIGINT)
            time.sleep(pause)
    else:
        pid_file = tmp_path / "postgres" / "data" / "postmaster.pid"
        os.kill(int(pid_file.read_text().split()[0]), signal.SIGINT)
    said = demo.stderr.read()
    assert demo.wait(60) != 0
    # A step may have ended meanwhile.
    lines = [line for line in said.splitlines() if " s  " not in line]
    assert len(lines) == 1, said
    assert words in lines[0]
    assert not [pid for pid in os.listdir("/proc") if pid.isdigit() and _belongs(pid, str(tmp_path))]


def _belongs(pid: str, home: str) -> bool:
    try:
        return f"TUTELAGE_HOME={home}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
