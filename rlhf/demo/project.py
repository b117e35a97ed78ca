"""The demo project: pocket stories, ready to be ranked a moment after the first start. Torch stays out of it.

Everything in it is real: the checkpoints, the demonstrations that the SFT checkpoint was trained on (marked
synthetic), and ranking tasks whose completions that checkpoint said, with their seeds.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import transaction

from labeling import work
from labeling.content.texts import text_hash
from labeling.incoming import intake
from labeling.models import Project, Prompt, Task
from labeling.people import demo_accounts
from labeling.people.projects import create_project
from labeling.talks import talk
from models_zoo import registry, stories
from models_zoo.models import Checkpoint
from rlhf.demo import samples as demo_samples
from rlhf.rounds import loop, sampling

SLUG = "pocket-stories"
DEMONSTRATIONS = 1_200
RANKINGS = 15
WRITINGS = 6
TALKS = 3
TALK = (
    "Ask for a story: “Write a short story in which an old owl finds a tiny book.” Take two things of your "
    "own, and then another two."
)
# `rlhf.trainers.pocket_stories` drew so many documents from seed 0 before it drew the demonstrations.
SEED, DOCUMENTS = 0, 12_300


def ensure() -> tuple[Project, list[demo_accounts.DemoAccount], bool]:
    """Make the demo project where there is none; open or shut its accounts as `settings.DEMO_ACCOUNTS` says.

    Returns:
        The project, the accounts that can sign in, and whether the project is new.

    Raises:
        store.BrokenCheckpoint, registry.RegistryError: a shipped checkpoint is damaged, or its name taken.
        projects.ProjectError: the guideline's slug belongs to another project.
        OSError: the state folder cannot be written, or a shipped file is missing.
    """
    with transaction.atomic():
        project = Project.objects.filter(slug=SLUG).first()
        is_new = project is None
        if project is None:
            project = _create()
        if settings.DEMO_ACCOUNTS:
            return project, demo_accounts.open_accounts(project=project), is_new
        demo_accounts.close_accounts()
    return project, [], is_new


def demonstrations() -> Iterator[stories.Demonstration]:
    """Yield the demonstrations that the shipped SFT checkpoint was trained on."""
    rng = random.Random(SEED)
    for _ in range(DOCUMENTS):
        stories.document(rng)
    for _ in range(DEMONSTRATIONS):
        yield stories.demonstration(rng)


def _create() -> Project:
    project = create_project(
        slug=SLUG,
        name="Pocket stories",
        guideline_title="How to rank pocket stories",
        guideline_body=(demo_samples.SHIPPED / "guideline.md").read_text(encoding="utf-8"),
    )
    project.current_checkpoint = checkpoint = _register()
    project.model_drafts = True
    project.save(update_fields=["current_checkpoint", "model_drafts"])
    rows = [_prompt_row(one, split) for split in ("train", "heldout") for one in stories.prompts(split)]
    intake.import_prompts(project=project, rows=rows, source="the grammar's prompts", synthetic=True)
    intake.import_demonstrations(
        project=project,
        rows=({"prompt": one.prompt.text, "completion": one.story} for one in demonstrations()),
        source="the grammar's demonstrations",
        synthetic=True,
    )
    sampling.loop_of(project)
    number = loop.open_round(project=project, kind="preferences", label_target=RANKINGS).number
    by_prompt = list(_completions(project, checkpoint).items())
    # The tasks beyond the target come last: they are there for whoever skips some, or goes on.
    for priority, some in ((1, by_prompt[:RANKINGS]), (0, by_prompt[RANKINGS:])):
        work.add_tasks(
            project=project,
            kind=Task.Kind.RANK,
            completions_by_prompt=dict(some),
            round_number=number,
            priority=priority,
        )
    ranked = [prompt.pk for prompt, _ in by_prompt]
    train = project.prompts.filter(split="train").exclude(pk__in=ranked).order_by("pk")
    work.add_demonstrate_tasks(project=project, prompts=random.Random(SEED).sample(list(train), WRITINGS))
    talk.add_tasks(project=project, text=TALK, count=TALKS)
    return project


def _register() -> Checkpoint:
    """The shipped checkpoints' rows; the SFT one is returned."""
    found: dict[str, Checkpoint] = {}
    for kind, parent in (("base", None), ("sft", "base")):
        folder = demo_samples.SHIPPED / kind
        lineage = json.loads((folder / "lineage.json").read_text(encoding="utf-8"))
        found[kind] = registry.register(
            folder=folder,
            name=f"{SLUG}-{kind}",
            kind=kind,
            parent=found.get(parent) if parent else None,
            licence="Apache-2.0",
            figures=lineage.get("figures", {}),
        )
    return found["sft"]


def _completions(project: Project, checkpoint: Checkpoint) -> dict[Prompt, list[Any]]:
    drawn, rows = demo_samples.read()
    if drawn["checkpoint"] != checkpoint.digest:
        raise registry.RegistryError(
            "samples.jsonl", f"It is of another checkpoint. Draw it anew: {drawn['command']}."
        )
    prompts = {prompt.text_hash: prompt for prompt in project.prompts.filter(split="train")}
    sampled = [
        work.Sampled(
            prompt=prompts[text_hash(row["prompt"])],
            text=row["text"],
            seed=row["seed"],
            index=row["index"],
            tokens=row["tokens"],
            finished=row["finished"],
        )
        for row in rows
    ]
    return work.add_completions(checkpoint=checkpoint, sampling=drawn["sampling"], sampled=sampled)


def _prompt_row(prompt: stories.Prompt, split: stories.Split) -> dict[str, Any]:
    return {
        "prompt": prompt.text,
        "split": split,
        "use_case": "story",
        "language": "en",
        "words": [prompt.animal, prompt.thing],
    }
