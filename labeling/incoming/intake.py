"""Take prompts, demonstrations and completions in: every good row or, on a fault of the whole, none.

Bad rows are listed with the reason. `entries` says what a row is, `trees` reads
conversation trees, `rowfiles` files. A demonstration becomes a prompt, a settled task and a label by
a labeler of kind import, so that its lineage reads like any other label's. Tasks that are asked for along
with an import are made in its transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, islice
from typing import Any

from django.db import transaction
from django.utils import timezone

from labeling import answers, live, work
from labeling.content import pictures, sensitive_content
from labeling.content.texts import TextError, text_hash
from labeling.incoming import entries, trees
from labeling.incoming.entries import Entry
from labeling.incoming.rowfiles import IntakeError, Row, numbered, read_rows
from labeling.models import Annotation, Completion, Import, Labeler, Project, Prompt, Split, Task
from labeling.writing import conversations

__all__ = [
    "TASKS",
    "IntakeError",
    "Row",
    "import_completions",
    "import_demonstrations",
    "import_prompts",
    "read_rows",
]

CHUNK = 500
MOST_LISTED = 10_000
MOST_SHOWN = 200
# The same demonstration of the same project has the same submission id, whichever file it comes in.
NAMESPACE = uuid.UUID("6f1f6a2e-0d4c-5f0b-9d38-3f6a64a2b7c1")
# The kinds of task that can be made along with an import.
TASKS = {
    Import.Kind.PROMPTS: (Task.Kind.DEMONSTRATE,),
    Import.Kind.DEMONSTRATIONS: (Task.Kind.DEMONSTRATE, Task.Kind.PROMPT),
    Import.Kind.COMPLETIONS: tuple(work.TAKES),
}


@dataclass(frozen=True)
class Refusal:
    row: int
    field: str
    reason: str


@dataclass
class _Intake:
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


def import_prompts(
    *,
    project: Project,
    rows: Iterable[Any],
    source: str,
    user: Any = None,
    synthetic: bool = False,
    split: str | float = Split.TRAIN,
    tasks: str | None = None,
    sensitive: bool = False,
    dry_run: bool = False,
) -> Import:
    """Store the prompts of ``rows`` and return the import, with its refused rows.

    Args:
        rows: objects, or `Row` as `read_rows` yields them.
        split: for rows that name none: train, heldout, or the share to hold out (above 0, below 1, as a
            number or its text). By share it follows from the hash of the conversation's opening, so that it
            falls on the same side every time.
        tasks: demonstrate asks people to answer each new prompt; `Import.tasks_made` says how many.
        sensitive: every row is, whether it says so or not.
        dry_run: judge every row and store nothing; the import returned is not saved.

    Raises:
        IntakeError: no rows at all, a bad ``split`` or ``tasks``.
        work.WorkError: tasks are asked for, and the project's guideline is not published.
    """
    about = {"source": source, "user": user, "synthetic": synthetic}
    how: dict[str, Any] = {"split": split, "tasks": tasks, "sensitive": sensitive, "dry_run": dry_run}
    return _take_in(Import.Kind.PROMPTS, project, rows, about, **how)


def import_demonstrations(
    *,
    project: Project,
    rows: Iterable[Any],
    source: str,
    user: Any = None,
    synthetic: bool = False,
    split: str | float = Split.TRAIN,
    tasks: str | None = None,
    sensitive: bool = False,
    dry_run: bool = False,
) -> Import:
    """Store the demonstrations of ``rows`` as labels; the arguments are those of `import_prompts`.

    A prompt that is there already keeps its split and gains the demonstration.

    Args:
        tasks: demonstrate asks for answers of people's own to the prompts that are new, prompt for what the
            user says next after each answer, as far as conversations of the project grow.

    Raises:
        IntakeError: as `import_prompts`, or the project's guideline is not published.
    """
    about = {"source": source, "user": user, "synthetic": synthetic}
    kind = Import.Kind.DEMONSTRATIONS
    how: dict[str, Any] = {"split": split, "tasks": tasks, "sensitive": sensitive, "dry_run": dry_run}
    return _take_in(kind, project, rows, about, **how)


def import_completions(
    *,
    project: Project,
    rows: Iterable[Any],
    source: str,
    user: Any = None,
    synthetic: bool = False,
    split: str | float = Split.TRAIN,
    model: str = "",
    tasks: str | None = None,
    sensitive: bool = False,
    dry_run: bool = False,
) -> Import:
    """Store answers that were given elsewhere; further arguments are those of `import_prompts`.

    A prompt that is there already keeps its split and gains the answers; the same text is one answer, however
    often it comes.

    Args:
        model: who gave the answers of rows that name nobody; shown to nobody who labels.
        tasks: rank, compare, rate, edit or mark; asks about the answers as `work.make_tasks` does.

    Raises:
        IntakeError: no rows at all, a bad ``split`` or ``tasks``.
        work.WorkError: tasks are asked for, and the project's guideline is not published.
    """
    about = {"source": source, "user": user, "synthetic": synthetic}
    kind = Import.Kind.COMPLETIONS
    how: dict[str, Any] = {"split": split, "tasks": tasks, "sensitive": sensitive, "dry_run": dry_run}
    return _take_in(kind, project, rows, about, **how, model=model)


def _take_in(
    kind: Import.Kind,
    project: Project,
    rows: Iterable[Any],
    about: dict[str, Any],
    *,
    split: str | float,
    tasks: str | None,
    sensitive: bool,
    dry_run: bool,
    model: str = "",
) -> Import:
    split = _read_split(split)
    if tasks is not None and tasks not in TASKS[kind]:
        raise IntakeError("tasks", f"{kind.capitalize()} can be given to {', '.join(TASKS[kind])}.")
    about["source"] = about["source"][:200]
    with transaction.atomic():
        # Two imports at once would each take the other's rows for new: they queue up here.
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        intake = _Intake(Import.objects.create(project=project, kind=kind, **about))
        batch = intake.batch
        reading = numbered(rows)
        if (first := next(reading, None)) is None:
            raise IntakeError("rows", f"{batch.source} holds no rows.")
        # One row is in memory as it came, with its pictures; of a chunk only what was checked.
        unfolded = (one for row in chain([first], reading) for one in trees.unfolded(row, kind=kind))
        checked = _checked(intake, unfolded, split=split, model=model, sensitive=sensitive)
        while good := list(islice(checked, CHUNK)):
            batch.accepted += _STORE[kind](intake, good)
        intake.refusals.sort(key=lambda refusal: refusal.row)
        batch.refused = [asdict(refusal) for refusal in intake.refusals]
        if (more := intake.refused - len(batch.refused)) > 0:
            batch.refused.append({"row": None, "field": "", "reason": f"{more:,} more rows were refused."})
        batch.save(update_fields=["accepted", "refused"])
        if tasks:
            batch.tasks_made = _make_tasks(intake, tasks)
        if batch.accepted and kind == Import.Kind.DEMONSTRATIONS:
            live.announce(project=project, event="tasks", count=batch.accepted)
        if dry_run:
            transaction.set_rollback(True)
    if dry_run:
        batch.pk = None
    return batch


def _checked(
    intake: _Intake, rows: Iterator[Row], *, split: str | float, model: str, sensitive: bool
) -> Iterator[Entry]:
    """The rows that hold; their pictures are stored as they go by."""
    for row in rows:
        if row.fault:
            intake.refuse(row.number, row.field, row.fault)
            continue
        try:
            entry = entries.check(row, kind=intake.batch.kind, split=split, model=model)
        except TextError as error:
            intake.refuse(row.number, error.field, str(error))
            continue
        if entry.pictures:
            pictures.keep(intake.batch.project, entry.pictures)
        yield replace(entry, pictures=(), sensitive=entry.sensitive or sensitive)


def _make_tasks(intake: _Intake, kind: str) -> int:
    project = intake.batch.project
    if kind == Task.Kind.DEMONSTRATE:
        return work.add_demonstrate_tasks(project=project, prompts=intake.batch.prompts.all())
    if kind == Task.Kind.PROMPT:
        return conversations.follow_up(project=project, prompts=intake.answered)
    return work.make_tasks(project=project, kind=kind, prompts=intake.answered)


def _store_prompts(intake: _Intake, good: list[Entry]) -> int:
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


def _store_demonstrations(intake: _Intake, good: list[Entry]) -> int:
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


def _create_labels(intake: _Intake, fresh: dict[uuid.UUID, Entry], prompts: dict[str, Prompt]) -> None:
    if not fresh:
        return
    project, now = intake.batch.project, timezone.now()
    if (version := project.guideline.current) is None:
        raise IntakeError("guideline", f"{project.name} has no published guideline. Publish one first.")
    if intake.labeler is None:
        intake.labeler = Labeler.objects.create(name=intake.batch.source[:150], kind=Labeler.Kind.IMPORT)
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


def _store_completions(intake: _Intake, good: list[Entry]) -> int:
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


def _create_prompts(intake: _Intake, fresh: Iterable[Entry]) -> list[Prompt]:
    return Prompt.objects.bulk_create(
        Prompt(
            project=intake.batch.project,
            messages=one.messages,
            text_hash=one.text_hash,
            split=one.split,
            use_case=one.use_case,
            language=one.language,
            metadata=one.metadata,
            sensitive=one.sensitive,
            batch=intake.batch,
        )
        for one in fresh
    )


def _prompts_there(intake: _Intake, good: list[Entry]) -> dict[str, Prompt]:
    hashes = {one.text_hash for one in good}
    found = Prompt.objects.filter(project=intake.batch.project_id, text_hash__in=hashes)
    return {prompt.text_hash: prompt for prompt in found.defer("messages")}


def _submission_id(project_id: int, one: Entry) -> uuid.UUID:
    return uuid.uuid5(NAMESPACE, f"{project_id}:{one.text_hash}:{text_hash(one.text)}")


def _read_split(split: str | float) -> str | float:
    if isinstance(split, str) and split in Split.values:
        return split
    try:
        share = float(split)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise IntakeError("split", f"Must be train, heldout or a share between 0 and 1, not {split!r}.")
    return share


def _shown(text: str) -> str:
    """What a row says of itself, as it can be stored and listed: a key may hold anything, at any length."""
    return text[:MOST_SHOWN].encode(errors="replace").decode().replace("\x00", "\ufffd")


_STORE: dict[str, Callable[[_Intake, list[Entry]], int]] = {
    Import.Kind.PROMPTS: _store_prompts,
    Import.Kind.DEMONSTRATIONS: _store_demonstrations,
    Import.Kind.COMPLETIONS: _store_completions,
}
