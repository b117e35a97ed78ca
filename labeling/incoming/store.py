"""Store the rows of an import that hold: as prompts, as labels, or as answers given elsewhere."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from django.utils import timezone

from labeling import answers
from labeling.content import sensitive_content
from labeling.content.texts import text_hash
from labeling.incoming.entries import Entry
from labeling.incoming.rowfiles import IntakeError
from labeling.models import Annotation, Completion, Import, Labeler, Prompt, Split, Task

MOST_LISTED = 10_000
MOST_SHOWN = 200
# The same demonstration of the same project has the same submission id, whichever file it comes in.
NAMESPACE = uuid.UUID("6f1f6a2e-0d4c-5f0b-9d38-3f6a64a2b7c1")


@dataclass(frozen=True)
class Refusal:
    row: int
    field: str
    reason: str


@dataclass
class Intake:
    """One import under way."""

    batch: Import
    refusals: list[Refusal] = field(default_factory=list)
    refused: int = 0
    labeler: Labeler | None = None
    answered: set[int] = field(default_factory=set)
    """The ids of prompts that gained completions or demonstrations."""

    def refuse(self, row: int, field: str, reason: str) -> None:
        self.refused += 1
        if self.refused <= MOST_LISTED:
            self.refusals.append(Refusal(row, _shown(field), _shown(reason)))


def _store_prompts(intake: Intake, good: list[Entry]) -> int:
    there = _prompts_there(intake, good)
    fresh: dict[str, Entry] = {}
    for one in good:
        if one.text_hash in fresh or (
            one.text_hash in there and there[one.text_hash].batch_id == intake.batch.pk
        ):
            intake.refuse(one.row, "prompt", "The same prompt stands further up in this file.")
        elif one.text_hash in there:
            intake.refuse(one.row, "prompt", "The project has this prompt already.")
        else:
            fresh[one.text_hash] = one
    return len(_create_prompts(intake, fresh.values()))


def _store_demonstrations(intake: Intake, good: list[Entry]) -> int:
    there = _prompts_there(intake, good)
    ids = [_submission_id(intake.batch.project_id, one) for one in good]
    labeled = dict(
        Annotation.objects.filter(submission_id__in=ids).values_list("submission_id", "labeler_id")
    )
    fresh: dict[uuid.UUID, Entry] = {}
    for key, one in zip(ids, good, strict=True):
        prompt = there.get(one.text_hash)
        here = key in labeled and intake.labeler is not None and labeled[key] == intake.labeler.pk
        if key in fresh or here:
            intake.refuse(one.row, "completion", "The same demonstration stands further up in this file.")
        elif key in labeled:
            intake.refuse(one.row, "completion", "The project has this demonstration already.")
        elif prompt and one.split_is_named and prompt.split != one.split:
            intake.refuse(one.row, "split", f"The project has this prompt already, in {prompt.split}.")
        else:
            fresh[key] = one
    missing = {one.text_hash: one for one in fresh.values() if one.text_hash not in there}
    there |= {prompt.text_hash: prompt for prompt in _create_prompts(intake, missing.values())}
    _mark_sensitive(fresh.values(), there)
    _create_labels(intake, fresh, there)
    return len(fresh)


def _create_labels(intake: Intake, fresh: dict[uuid.UUID, Entry], prompts: dict[str, Prompt]) -> None:
    if not fresh:
        return
    project, now = intake.batch.project, timezone.now()
    if (version := project.guideline.current) is None:
        raise IntakeError("guideline", f"{project.name} has no published guideline. Publish one first.")
    if intake.labeler is None:
        intake.labeler = Labeler.objects.create(name=intake.batch.source[:150], kind=Labeler.Kind.IMPORT)
        intake.batch.labeler = intake.labeler
    intake.answered |= {prompts[one.text_hash].pk for one in fresh.values()}
    tasks = Task.objects.bulk_create(
        Task(
            project=project,
            kind=Task.Kind.DEMONSTRATE,
            prompt=prompts[one.text_hash],
            guideline_version=version,
            wanted=1,
            taken=1,
            **prompts[one.text_hash].asks,
            selection_policy="imported",
        )
        for one in fresh.values()
    )
    Annotation.objects.bulk_create(
        Annotation(
            submission_id=submission_id,
            body_hash=text_hash(one.text),
            task=task,
            labeler=intake.labeler,
            kind=task.kind,
            guideline_version=version,
            schema=answers.SCHEMA[Task.Kind.DEMONSTRATE],
            answer={"text": one.text},
            text_hashes={"prompt": one.text_hash},
            prompt_split=task.prompt.split,
            labeler_group=Split.TRAIN,
            opened_at=now,
            submitted_at=now,
        )
        for task, (submission_id, one) in zip(tasks, fresh.items(), strict=True)
    )


def _store_completions(intake: Intake, good: list[Entry]) -> int:
    prompts = _prompts_there(intake, good)
    fitting: list[Entry] = []
    missing: dict[str, Entry] = {}
    for one in good:
        prompt = prompts.get(one.text_hash) or missing.get(one.text_hash)
        if prompt and one.split_is_named and prompt.split != one.split:
            intake.refuse(one.row, "split", f"The project has this prompt already, in {prompt.split}.")
            continue
        fitting.append(one)
        if one.text_hash not in prompts:
            missing.setdefault(one.text_hash, one)
    prompts |= {prompt.text_hash: prompt for prompt in _create_prompts(intake, missing.values())}
    _mark_sensitive(fitting, prompts)
    asked = {prompts[one.text_hash].pk for one in fitting}
    there = set(Completion.objects.filter(prompt__in=asked).values_list("prompt_id", "text_hash"))
    fresh: list[Completion] = []
    for one in fitting:
        prompt, known = prompts[one.text_hash], len(fresh)
        for at, (text, model) in enumerate(one.completions):
            if (key := (prompt.pk, text_hash(text))) not in there:
                there.add(key)
                sampling = {"model": model} if model else {}
                fresh.append(
                    Completion(prompt=prompt, text=text, text_hash=key[1], sampling=sampling, index=at)
                )
        if len(fresh) == known:
            intake.refuse(one.row, "completions", "The prompt has these answers already.")
    Completion.objects.bulk_create(fresh)
    intake.answered |= {each.prompt_id for each in fresh}
    return len(fresh)


def _mark_sensitive(good: Iterable[Entry], prompts: dict[str, Prompt]) -> None:
    """One row that says so is enough for all that a prompt's tasks show."""
    sensitive_content.mark(prompts[one.text_hash] for one in good if one.sensitive)


def _create_prompts(intake: Intake, fresh: Iterable[Entry]) -> list[Prompt]:
    return Prompt.objects.bulk_create(
        Prompt(
            project=intake.batch.project,
            messages=one.messages,
            text_hash=one.text_hash,
            split=one.split,
            use_case=one.use_case,
            language=one.language,
            skill=one.skill,
            metadata=one.metadata,
            sensitive=one.sensitive,
            batch=intake.batch,
        )
        for one in fresh
    )


def _prompts_there(intake: Intake, good: list[Entry]) -> dict[str, Prompt]:
    hashes = {one.text_hash for one in good}
    found = Prompt.objects.filter(project=intake.batch.project_id, text_hash__in=hashes)
    return {prompt.text_hash: prompt for prompt in found.defer("messages")}


def _submission_id(project_id: int, one: Entry) -> uuid.UUID:
    return uuid.uuid5(NAMESPACE, f"{project_id}:{one.text_hash}:{text_hash(one.text)}")


def _shown(text: str) -> str:
    """What a row says of itself, as it can be stored and listed: a key may hold anything, at any length."""
    return text[:MOST_SHOWN].encode(errors="replace").decode().replace("\x00", "\ufffd")


STORE: dict[str, Callable[[Intake, list[Entry]], int]] = {
    Import.Kind.PROMPTS: _store_prompts,
    Import.Kind.DEMONSTRATIONS: _store_demonstrations,
    Import.Kind.COMPLETIONS: _store_completions,
}
