"""The demo project: whole, made once, with accounts that come and go with the loopback address."""

import hashlib
import json
import subprocess
import sys

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db.models import Count

from guidelines import render
from guidelines.models import Guideline
from labeling import queue
from labeling.datasets import dataset
from labeling.models import Annotation, ApiToken, Completion, Labeler, Lease, Project, Prompt, Task
from labeling.people import demo_accounts
from models_zoo import store, stories
from models_zoo.models import Checkpoint
from rlhf.demo import project as demo_project
from rlhf.demo import samples as demo_samples
from rlhf.models import Round
from rlhf.rounds import loop

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "HOME", tmp_path)
    monkeypatch.setattr(settings, "DEMO_ACCOUNTS", True)


def test_ensure():
    project, accounts, is_new = demo_project.ensure()
    assert is_new
    assert [each.username for each in accounts] == ["ada", "leo"]
    ranks = project.tasks.filter(kind=Task.Kind.RANK, round_number=1)
    first = ranks.filter(priority=1)
    assert (first.count(), ranks.count()) == (15, demo_samples.PROMPTS)
    assert {task.k for task in ranks.annotate(k=Count("candidates"))} == {4}
    assert len({task.prompt_id for task in ranks}) == demo_samples.PROMPTS
    assert project.tasks.filter(kind=Task.Kind.DEMONSTRATE, taken=0).count() == demo_project.WRITINGS
    talks = project.tasks.filter(kind=Task.Kind.CONVERSE, priority=0)
    assert (talks.count(), project.model_drafts) == (demo_project.TALKS, True)
    assert Annotation.objects.count() == demo_project.DEMONSTRATIONS
    assert {each.synthetic for each in project.imports.all()} == {True}
    assert {tuple(each.refused) for each in project.imports.all()} == {()}
    round = loop.current_round(project)
    assert (round.number, round.kind, round.label_target) == (1, Round.Kind.PREFERENCES, 15)
    assert "<table>" in render.body_html(project.guideline.current)


def test_checkpoints_have_their_lineage():
    project, _, _ = demo_project.ensure()
    sft = project.current_checkpoint
    assert (sft.kind, sft.parent.kind) == (Checkpoint.Kind.SFT, Checkpoint.Kind.BASE)
    assert store.verify(sft.path, sft.digest) == sft.digest
    assert {each.checkpoint for each in Completion.objects.select_related("checkpoint")} == {sft}
    assert all(
        each.sampling["temperature"] == 1 and each.seed is not None for each in Completion.objects.all()
    )


def test_splits_do_not_mix():
    project, _, _ = demo_project.ensure()
    held = {(one.animal, one.thing) for one in stories.prompts("heldout")}
    for prompt in project.prompts.to_answer():
        assert (tuple(prompt.metadata["words"]) in held) == (prompt.split == "heldout")
    assert {task.prompt.split for task in project.tasks.select_related("prompt")} == {"train"}


def test_twice_is_once():
    demo_project.ensure()
    counted = [Guideline, Project, Prompt, Task, Annotation, Completion, Checkpoint, Round, User, Labeler]
    before = [each.objects.count() for each in counted]
    _, accounts, is_new = demo_project.ensure()
    assert not is_new
    assert len(accounts) == 2
    assert [each.objects.count() for each in counted] == before


def test_the_fifteen_come_first():
    project, _, _ = demo_project.ensure()
    lease = queue.lease_next(labeler=Labeler.objects.get(name="leo"), project=project, kinds=["rank"])
    assert lease.task.priority == 1
    assert Lease.objects.count() == 1


@pytest.mark.slow
def test_demonstrations_trained_the_shipped_checkpoint(tmp_path, monkeypatch):
    """They are those that the command which built the checkpoint writes into its run directory."""
    from rlhf.trainers import pocket_stories

    monkeypatch.setattr(pocket_stories.pretrain, "train", lambda _: None)
    monkeypatch.setattr(pocket_stories.sft, "train", lambda _: None)
    built = {"base_knobs": {}, "sft_knobs": {}, "documents": 12_000, "demonstrations": 1_200}
    pocket_stories.build(tmp_path, seed=demo_project.SEED, **built)
    with (tmp_path / "sft" / "data" / "train.jsonl").open() as lines:
        trained = [json.loads(line)["messages"] for line in lines]
    project, _, _ = demo_project.ensure()
    frozen = dataset.freeze(project=project, kind="demonstrations")
    assert [row["messages"] for row in dataset.rows(frozen)] == trained


def test_samples_are_of_the_shipped_checkpoint():
    drawn, rows = demo_samples.read()
    assert drawn["checkpoint"] == store.digest(demo_samples.SHIPPED / "sft")
    assert [(row["prompt"][0]["content"], row["index"]) for row in rows] == [
        (one.text, k) for one in demo_samples.prompts() for k in range(demo_samples.K)
    ]


@pytest.mark.slow
def test_samples_can_be_drawn_again(tmp_path):
    """Two prompts suffice: each completion follows from its own seed."""
    _, rows = demo_samples.read()
    asked = demo_samples.prompts()[:2]
    assert demo_samples.draw(asked, tmp_path / "run") == rows[: 2 * demo_samples.K]


def test_samples_of_another_checkpoint_are_refused(tmp_path, monkeypatch):
    lines = demo_samples.FILE.read_text().splitlines()
    lines[0] = json.dumps(json.loads(lines[0]) | {"checkpoint": "sha256:0"})
    (tmp_path / "samples.jsonl").write_text("\n".join(lines))
    monkeypatch.setattr(demo_samples, "FILE", tmp_path / "samples.jsonl")
    with pytest.raises(ValueError, match="Draw it anew"):
        demo_project.ensure()
    assert not Project.objects.exists()


def test_accounts_only_on_loopback(client, monkeypatch):
    project, _, _ = demo_project.ensure()
    ada = User.objects.get(username="ada")
    ApiToken.objects.create(user=ada, name="t", prefix="t", digest=hashlib.sha256(b"t").hexdigest())
    assert client.login(username="ada", password=demo_accounts.PASSWORD)
    assert client.get("/admin/login/").wsgi_request.user.is_authenticated
    monkeypatch.setattr(settings, "DEMO_ACCOUNTS", False)
    assert demo_project.ensure() == (project, [], False)
    assert not client.get("/admin/login/").wsgi_request.user.is_authenticated
    assert not client.login(username="ada", password=demo_accounts.PASSWORD)
    assert not ApiToken.objects.exists()
    monkeypatch.setattr(settings, "DEMO_ACCOUNTS", True)
    demo_project.ensure()
    assert client.login(username="ada", password=demo_accounts.PASSWORD)


def test_accounts_of_people_are_left_alone(monkeypatch):
    User.objects.create_user("ada", "ada@example.org", "her own")
    _, accounts, _ = demo_project.ensure()
    assert [each.username for each in accounts] == ["leo"]
    monkeypatch.setattr(settings, "DEMO_ACCOUNTS", False)
    demo_project.ensure()
    ada = User.objects.get(username="ada")
    assert ada.is_active
    assert ada.check_password("her own")
    assert not ada.memberships.exists()


def test_without_accounts(monkeypatch, capsys):
    monkeypatch.setattr(settings, "DEMO_ACCOUNTS", False)
    call_command("demo_project")
    assert "No demo accounts" in capsys.readouterr().out
    assert not User.objects.exists()
    monkeypatch.setattr(settings, "DEMO_ACCOUNTS", True)
    call_command("demo_project")
    assert "ada / tutelage" in capsys.readouterr().out
    assert Project.objects.get().memberships.count() == 2


def test_no_torch():
    code = (
        "import os, sys, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'deploy.settings'; django.setup(); "
        "import rlhf.demo.project, rlhf.management.commands.demo_project; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.returncode) == ("False", 0), done.stderr
