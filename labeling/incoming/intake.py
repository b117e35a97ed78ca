"""Take prompts, demonstrations and completions in: every good row or, on a fault of the whole, none.

Bad rows are listed with the reason. `entries` says what a row is, `trees` reads
conversation trees, `rowfiles` files, `store` keeps what holds. A demonstration becomes a prompt, a settled
task and a label by a labeler of kind import, so that its lineage reads like any other label's. Tasks that are
asked for along with an import are made in its transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, replace
from itertools import chain, islice
from typing import Any, TypedDict, Unpack

from django.db import transaction

from labeling import live, work
from labeling.content import pictures
from labeling.content.texts import TextError, unstorable
from labeling.incoming import entries, trees
from labeling.incoming.entries import Defaults, Entry
from labeling.incoming.rowfiles import IntakeError, Row, numbered, read_rows
from labeling.incoming.store import STORE, Intake
from labeling.models import Import, Project, Split, Task
from labeling.people import audit
from labeling.writing import conversations

__all__ = [
    "TASKS",
    "VERBS",
    "How",
    "IntakeError",
    "Row",
    "import_completions",
    "import_demonstrations",
    "import_prompts",
    "read_rows",
]

CHUNK = 500
# The kinds of task that can be made along with an import.
TASKS = {
    Import.Kind.PROMPTS: (Task.Kind.DEMONSTRATE,),
    Import.Kind.DEMONSTRATIONS: (Task.Kind.DEMONSTRATE, Task.Kind.PROMPT),
    Import.Kind.COMPLETIONS: tuple(work.TAKES),
}


class How(TypedDict, total=False):
    """What may be said of the rows of an import, whatever they hold.

    ``split``: for rows that name none: train, heldout, or the share to hold out (above 0, below 1, as a
    number or its text); the project's own share unless given. By share it follows from the hash of the
    conversation's opening, so that it falls on the same side every time.

    ``split_by``: a field of the rows whose equal values stay on one side, by share: a source, an author.

    ``tasks``: the kinds of task to make of what comes in (`TASKS`); `Import.tasks_made` says how many.

    ``sensitive``: every row is, whether it says so or not. ``use_case``, ``language`` and ``skill`` are those
    of rows that name none.

    ``dry_run``: judge every row and store nothing; the import returned is not saved.

    ``watch``: is given every row that holds by itself, as it goes by.
    """

    split: str | float | None
    split_by: str
    tasks: str | Collection[str] | None
    sensitive: bool
    use_case: str
    language: str
    skill: str
    dry_run: bool
    watch: Callable[[Entry], None] | None


def import_prompts(
    *,
    project: Project,
    rows: Iterable[Any],
    source: str,
    user: Any = None,
    synthetic: bool = False,
    **how: Unpack[How],
) -> Import:
    """Store the prompts of ``rows`` and return the import, with its refused rows.

    Args:
        rows: objects, or `Row` as `read_rows` yields them.
        how: as `How` has it; tasks may be demonstrate, which asks people to answer each new prompt.

    Raises:
        IntakeError: no rows at all, a bad ``split`` or ``tasks``, or a name that is too long.
        work.WorkError: tasks are asked for, and the project's guideline is not published.
    """
    batch = Import(project=project, kind=Import.Kind.PROMPTS, source=source, user=user, synthetic=synthetic)
    return _take_in(batch, rows, how)


def import_demonstrations(
    *,
    project: Project,
    rows: Iterable[Any],
    source: str,
    user: Any = None,
    synthetic: bool = False,
    **how: Unpack[How],
) -> Import:
    """Store the demonstrations of ``rows`` as labels; the arguments are those of `import_prompts`.

    A prompt that is there already keeps its split and gains the demonstration. Tasks may be demonstrate, for
    answers of people's own to the prompts that are new, and prompt, for what the user says next after each
    answer, as far as conversations of the project grow.

    Raises:
        IntakeError: as `import_prompts`, or the project's guideline is not published.
    """
    batch = Import(
        project=project, kind=Import.Kind.DEMONSTRATIONS, source=source, user=user, synthetic=synthetic
    )
    return _take_in(batch, rows, how)


def import_completions(
    *,
    project: Project,
    rows: Iterable[Any],
    source: str,
    user: Any = None,
    synthetic: bool = False,
    model: str = "",
    **how: Unpack[How],
) -> Import:
    """Store answers that were given elsewhere; further arguments are those of `import_prompts`.

    A prompt that is there already keeps its split and gains the answers; the same text is one answer, however
    often it comes. Tasks may be rank, compare, rate, edit and mark: they ask as `work.make_tasks` does.

    Args:
        model: who gave the answers of rows that name nobody; shown to nobody who labels.

    Raises:
        IntakeError: as `import_prompts`.
        work.WorkError: tasks are asked for, and the project's guideline is not published.
    """
    batch = Import(
        project=project, kind=Import.Kind.COMPLETIONS, source=source, user=user, synthetic=synthetic
    )
    return _take_in(batch, rows, how, model=model)


VERBS: dict[str, Callable[..., Import]] = {
    Import.Kind.PROMPTS: import_prompts,
    Import.Kind.DEMONSTRATIONS: import_demonstrations,
    Import.Kind.COMPLETIONS: import_completions,
}


def _take_in(batch: Import, rows: Iterable[Any], how: How, *, model: str = "") -> Import:
    project, kind = batch.project, Import.Kind(batch.kind)
    defaults = _defaults(project, how, model=model)
    tasks = _read_tasks(kind, how.get("tasks"))
    batch.source = batch.source[:200]
    with transaction.atomic():
        # Two imports at once would each take the other's rows for new: they queue up here.
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        batch.save(force_insert=True)
        intake = Intake(batch)
        reading = numbered(rows)
        if (first := next(reading, None)) is None:
            raise IntakeError("rows", f"{batch.source} holds no rows.")
        # One row is in memory as it came, with its pictures; of a chunk only what was checked.
        unfolded = (one for row in chain([first], reading) for one in trees.unfolded(row, kind=kind))
        checked = _checked(intake, unfolded, defaults, how.get("watch"))
        while good := list(islice(checked, CHUNK)):
            batch.accepted += STORE[kind](intake, good)
        intake.refusals.sort(key=lambda refusal: refusal.row)
        batch.refused = [asdict(refusal) for refusal in intake.refusals]
        if (more := intake.refused - len(batch.refused)) > 0:
            batch.refused.append({"row": None, "field": "", "reason": f"{more:,} more rows were refused."})
        batch.save(update_fields=["accepted", "refused", "labeler"])
        batch.tasks_made = sum(_make_tasks(intake, each) for each in tasks)
        _record(intake)
        if batch.accepted and kind == Import.Kind.DEMONSTRATIONS:
            live.announce(project=project, event="tasks", count=batch.accepted)
        if how.get("dry_run"):
            transaction.set_rollback(True)
    if how.get("dry_run"):
        batch.pk = None
    return batch


def _record(intake: Intake) -> None:
    batch = intake.batch
    audit.record(
        actor=batch.user,
        action="prompts.import",
        target=f"import {batch.pk}: {batch.source}",
        project=batch.project,
        kind=batch.kind,
        accepted=batch.accepted,
        refused=intake.refused,
        tasks=batch.tasks_made,
    )


def _checked(
    intake: Intake, rows: Iterator[Row], defaults: Defaults, watch: Callable[[Entry], None] | None
) -> Iterator[Entry]:
    """The rows that hold; their pictures are stored as they go by."""
    for row in rows:
        if row.fault:
            intake.refuse(row.number, row.field, row.fault)
            continue
        try:
            entry = entries.check(row, kind=intake.batch.kind, defaults=defaults)
        except TextError as error:
            intake.refuse(row.number, error.field, str(error))
            continue
        if entry.pictures:
            pictures.keep(intake.batch.project, entry.pictures)
        entry = replace(entry, pictures=())
        if watch:
            watch(entry)
        yield entry


def _make_tasks(intake: Intake, kind: str) -> int:
    project = intake.batch.project
    if kind == Task.Kind.DEMONSTRATE:
        return work.add_demonstrate_tasks(project=project, prompts=intake.batch.prompts.all())
    if kind == Task.Kind.PROMPT:
        return conversations.follow_up(project=project, prompts=intake.answered)
    return work.make_tasks(project=project, kind=kind, prompts=intake.answered)


def _defaults(project: Project, how: How, *, model: str) -> Defaults:
    """What holds for rows that say nothing else.

    Raises:
        IntakeError: a bad split, or a name that is too long.
    """
    split = how.get("split")
    if split is None:
        split = project.heldout_share or Split.TRAIN
    defaults = Defaults(
        split=_read_split(split),
        split_by=how.get("split_by", "").strip(),
        sensitive=how.get("sensitive", False),
        use_case=how.get("use_case", "").strip(),
        language=how.get("language", "").strip(),
        skill=how.get("skill", "").strip(),
        model=model,
    )
    if defaults.split_by and isinstance(defaults.split, str):
        raise IntakeError("split", "Give the share to hold out, as 0.1: rows of one source stay together.")
    for name, most in (*entries.SHORT.items(), ("split_by", entries.MOST_NAME)):
        value = getattr(defaults, name)
        if len(value) > most or unstorable(value):
            raise IntakeError(name, f"Must be text of at most {most} characters.")
    return defaults


def _read_tasks(kind: Import.Kind, asked: str | Collection[str] | None) -> list[str]:
    """The kinds of task that are asked for, each once.

    Raises:
        IntakeError: one that is not made of this kind of import.
    """
    kinds = [asked] if isinstance(asked, str) else list(asked or ())
    if any(each not in TASKS[kind] for each in kinds):
        raise IntakeError("tasks", f"{kind.capitalize()} can be given to {', '.join(TASKS[kind])}.")
    return list(dict.fromkeys(kinds))


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
