"""Checkpoints among projects: what a round measures of one, and what its page tells to whom."""

from __future__ import annotations

import json

import pytest
from django.urls import reverse
from scenes import new_labeler, new_project

from labeling.content.texts import text_hash
from labeling.models import Dataset, Prompt
from models_zoo.models import Checkpoint
from rlhf.models import Round, RoundStep, Run, RunInput
from rlhf.rounds import steps

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(settings, tmp_path):
    settings.HOME = tmp_path
    return new_project()


def checkpoint(name, kind="sft") -> Checkpoint:
    return Checkpoint.objects.create(name=name, kind=kind, digest="sha256:0", folder=f"checkpoints/{name}")


def sampled(round, name, policy, prompts, rewards) -> Run:
    """A step of the round whose run answered each prompt twice, to be worth these rewards."""
    run = Run.objects.create(project=round.project, round=round, algorithm="sample", state="done")
    run.config = {"knobs": {"k": 2}}
    run.save()
    RunInput.objects.create(run=run, role="policy", checkpoint=policy)
    (run.directory / "output").mkdir(parents=True)
    rows = [
        {
            "prompt_index": at // 2,
            "index": at % 2,
            "text": f"Story {at} of {name}.",
            "finished": True,
            "tokens": 5,
            "seed": at,
            "prompt": {"prompt_id": prompts[at // 2].pk, "split": "heldout"},
            "reward": reward,
        }
        for at, reward in enumerate(rewards)
    ]
    (run.directory / "output" / "completions.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows)
    )
    ordinal = 1 + round.steps.count()
    RoundStep.objects.create(round=round, ordinal=ordinal, name=name, state="done", run=run)
    return run


def test_preference_has_an_interval(project, client):
    before, after, judge = checkpoint("before"), checkpoint("after", "policy"), checkpoint("judge", "reward")
    round = Round.objects.create(
        project=project,
        number=1,
        kind="preferences",
        state="training",
        label_target=1,
        checkpoint_before=before,
        checkpoint_after=after,
    )
    trained = Run.objects.create(project=project, round=round, algorithm="reward", output=judge)
    RoundStep.objects.create(round=round, ordinal=1, name="reward", state="done", run=trained)
    asked = [[{"role": "user", "content": f"Story {n}?"}] for n in range(4)]
    prompts = [
        Prompt.objects.create(project=project, messages=each, text_hash=text_hash(each), split="heldout")
        for each in asked
    ]
    # Prompt by prompt the later one wins both, both, one of two, none.
    sampled(round, "sample", after, prompts, [1.0, 1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0])
    run = sampled(round, "evaluate", before, prompts, [0.0] * 8)
    detail = steps.finish(round.steps.get(name="evaluate"), run)
    after.refresh_from_db()
    against = after.figures["against"]
    assert against["win_rate"] == 5 / 8
    # Clustered by prompt, whose wins lie .75, .75, −.25 and −1.25 from what the mean would give them.
    half = 1.96 * ((2 * 0.75**2 + 0.25**2 + 1.25**2) * 4 / 3) ** 0.5 / 8
    assert against["win_rate_low"] == pytest.approx(5 / 8 - half)
    assert against["win_rate_high"] == 1.0
    assert "62% of 8 held-out answers (16%–100%)" in detail
    client.force_login(new_labeler(project, role="engineer").user)
    page = client.get(reverse("rlhf:checkpoint", args=[after.pk])).content.decode()
    assert "16\u202f% to 100\u202f% with 95 % confidence" in page


def test_another_projects_labels_are_not_told(project, client):
    """A checkpoint may be used in a project whose people may not know what it was trained on."""
    elsewhere = new_project()
    frozen = Dataset.objects.create(project=elsewhere, number=1, kind="demonstrations", size=4_321)
    shared = checkpoint("shared")
    Run.objects.create(project=elsewhere, algorithm="sft", dataset=frozen, output=shared, state="done")
    project.current_checkpoint = shared
    project.save()
    address = reverse("rlhf:checkpoint", args=[shared.pk])
    client.force_login(new_labeler(elsewhere, role="engineer").user)
    assert "4,321" in client.get(address).content.decode()
    client.force_login(new_labeler(project, role="engineer").user)
    assert "4,321" not in client.get(address).content.decode()
