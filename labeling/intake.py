"""Take prompts and demonstrations in: every good row or, on a fault of the whole, none; bad rows are listed.

A row is an object (a CSV record, a line of JSONL):

- a prompt: ``{"prompt": text or messages}`` or ``{"messages": […]}`` that end with the user's turn;
- a demonstration: ``{"messages": […]}`` that end with the assistant's answer, or ``{"prompt", "completion"}``
  (text, or messages and one message);
- either: ``split`` (train or heldout), ``use_case``, ``language``, ``metadata``; any other field joins the
  metadata.

A demonstration becomes a prompt, a settled task and a label by a labeler of kind import, so that its lineage
reads like any other label's. Reading files is `labeling.rowfiles`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from django.db import transaction
from django.utils import timezone

from labeling import answers, live
from labeling.models import Annotation, Import, Labeler, Project, Prompt, Split, Task
from labeling.rowfiles import IntakeError, Row, numbered, read_rows
from labeling.texts import Message, TextError, check_messages, check_text, strings, text_hash, unstorable

__all__ = ["IntakeError", "Row", "import_demonstrations", "import_prompts", "read_rows"]

CHUNK = 500
MOST_LISTED = 10_000
MOST_SHOWN = 200
MOST_METADATA_BYTES = 64 * 1024
# The same demonstration of the same project has the same submission id, whichever file it comes in.
NAMESPACE = uuid.UUID("6f1f6a2e-0d4c-5f0b-9d38-3f6a64a2b7c1")


@dataclass(frozen=True)
class Refusal:
    row: int
    field: str
    reason: str


@dataclass
class _Candidate:
    """A row that could be taken in, as far as the row itself tells."""

    row: int
    messages: list[Message]
    text_hash: str
    split: str
    split_is_named: bool
    use_case: str
    language: str
    metadata: dict[str, Any]
    text: str = ""
    """The demonstration; empty for a prompt."""


@dataclass
class _Intake:
    """One import under way."""

    batch: Import
    refusals: list[Refusal] = field(default_factory=list)
    refused: int = 0
    labeler: Labeler | None = None

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
    dry_run: bool = False,
) -> Import:
    """Store the prompts of ``rows`` and return the import, with its refused rows.

    Args:
        rows: objects, or `Row` as `read_rows` yields them.
        split: for rows that name none: train, heldout, or the share to hold out (above 0, below 1, as a
            number or its text). By share it follows from the text's hash, so that a conversation falls on
            the same side every time.
        dry_run: judge every row and store nothing; the import returned is not saved.

    Raises:
        IntakeError: no rows at all, or a bad ``split``.
    """
    return _take_in("prompts", project, rows, source, user, synthetic, split, dry_run)


def import_demonstrations(
    *,
    project: Project,
    rows: Iterable[Any],
    source: str,
    user: Any = None,
    synthetic: bool = False,
    split: str | float = Split.TRAIN,
    dry_run: bool = False,
) -> Import:
    """Store the demonstrations of ``rows`` as labels; the arguments are those of `import_prompts`.

    A prompt that is there already keeps its split and gains the demonstration.

    Raises:
        IntakeError: no rows at all, a bad ``split``, or the project's guideline is not published.
    """
    return _take_in("demonstrations", project, rows, source, user, synthetic, split, dry_run)


def _take_in(
    kind: str,
    project: Project,
    rows: Iterable[Any],
    source: str,
    user: Any,
    synthetic: bool,
    split: str | float,
    dry_run: bool,
) -> Import:
    split = _read_split(split)
    with transaction.atomic():
        # Two imports at once would each take the other's rows for new: they queue up here.
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        batch = Import.objects.create(
            project=project, kind=kind, source=source[:200], synthetic=synthetic, user=user
        )
        intake = _Intake(batch)
        reading, empty = numbered(rows), True
        while chunk := list(islice(reading, CHUNK)):
            empty = False
            good = list(_checked(intake, chunk, split=split))
            store = _store_prompts if kind == "prompts" else _store_demonstrations
            batch.accepted += store(intake, good)
        if empty:
            raise IntakeError("rows", f"{source} holds no rows.")
        intake.refusals.sort(key=lambda refusal: refusal.row)
        batch.refused = [asdict(refusal) for refusal in intake.refusals]
        if (more := intake.refused - len(batch.refused)) > 0:
            batch.refused.append({"row": None, "field": "", "reason": f"{more:,} more rows were refused."})
        batch.save(update_fields=["accepted", "refused"])
        if batch.accepted and kind == "demonstrations":
            live.announce(project=project, event="tasks", count=batch.accepted)
        if dry_run:
            transaction.set_rollback(True)
    if dry_run:
        batch.pk = None
    return batch


def _checked(intake: _Intake, chunk: list[Row], *, split: str | float) -> Iterator[_Candidate]:
    for row in chunk:
        if row.fault:
            intake.refuse(row.number, row.field, row.fault)
            continue
        try:
            yield _check(row, kind=intake.batch.kind, split=split)
        except TextError as error:
            intake.refuse(row.number, error.field, str(error))


def _store_prompts(intake: _Intake, good: list[_Candidate]) -> int:
    there = _prompts_there(intake, good)
    fresh: dict[str, _Candidate] = {}
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


def _store_demonstrations(intake: _Intake, good: list[_Candidate]) -> int:
    there = _prompts_there(intake, good)
    ids = {one.row: _submission_id(intake.batch.project_id, one) for one in good}
    labeled = dict(
        Annotation.objects.filter(submission_id__in=ids.values()).values_list("submission_id", "labeler_id")
    )
    fresh: dict[uuid.UUID, _Candidate] = {}
    for one in good:
        key, prompt = ids[one.row], there.get(one.text_hash)
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
    _create_labels(intake, fresh, there)
    return len(fresh)


def _create_labels(intake: _Intake, fresh: dict[uuid.UUID, _Candidate], prompts: dict[str, Prompt]) -> None:
    if not fresh:
        return
    project, now = intake.batch.project, timezone.now()
    if (version := project.guideline.current) is None:
        raise IntakeError("guideline", f"{project.name} has no published guideline. Publish one first.")
    if intake.labeler is None:
        intake.labeler = Labeler.objects.create(name=intake.batch.source[:150], kind=Labeler.Kind.IMPORT)
    tasks = Task.objects.bulk_create(
        Task(
            project=project,
            kind=Task.Kind.DEMONSTRATE,
            prompt=prompts[one.text_hash],
            guideline_version=version,
            wanted=1,
            taken=1,
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
            schema=answers.SCHEMA,
            answer={"text": one.text},
            text_hashes={"prompt": one.text_hash},
            prompt_split=task.prompt.split,
            labeler_group=Split.TRAIN,
            opened_at=now,
            submitted_at=now,
        )
        for task, (submission_id, one) in zip(tasks, fresh.items(), strict=True)
    )


def _create_prompts(intake: _Intake, fresh: Iterable[_Candidate]) -> list[Prompt]:
    return Prompt.objects.bulk_create(
        Prompt(
            project=intake.batch.project,
            messages=one.messages,
            text_hash=one.text_hash,
            split=one.split,
            use_case=one.use_case,
            language=one.language,
            metadata=one.metadata,
            batch=intake.batch,
        )
        for one in fresh
    )


def _prompts_there(intake: _Intake, good: list[_Candidate]) -> dict[str, Prompt]:
    hashes = {one.text_hash for one in good}
    found = Prompt.objects.filter(project=intake.batch.project_id, text_hash__in=hashes)
    return {prompt.text_hash: prompt for prompt in found.defer("messages")}


def _submission_id(project_id: int, one: _Candidate) -> uuid.UUID:
    return uuid.uuid5(NAMESPACE, f"{project_id}:{one.text_hash}:{text_hash(one.text)}")


def _check(row: Row, *, kind: str, split: str | float) -> _Candidate:
    """Judge a row by itself.

    Raises:
        TextError: naming the field at fault.
    """
    content = row.content
    if not isinstance(content, dict):
        raise TextError("", "The row must be an object with named fields.")
    rest = dict(content)
    messages, text = _conversation(rest, kind=kind)
    sha256 = text_hash(messages)
    named = rest.pop("split", None) or None
    if named is not None and named not in Split.values:
        raise TextError("split", f"Must be {' or '.join(Split.values)}.")
    return _Candidate(
        row=row.number,
        messages=messages,
        text_hash=sha256,
        split=named or _split_of(sha256, split),
        split_is_named=named is not None,
        use_case=_short(rest, "use_case", 60),
        language=_short(rest, "language", 35),
        metadata=_metadata(rest),
        text=text,
    )


def _conversation(rest: dict[str, Any], *, kind: str) -> tuple[list[Message], str]:
    """Take the prompt's messages and the demonstration (empty for a prompt) out of a row's fields."""
    at = "messages" if rest.get("messages") not in (None, "") else "prompt"
    if at == "messages" and rest.get("prompt") not in (None, ""):
        raise TextError("prompt", "The row has both messages and a prompt. Leave one of them out.")
    given = rest.pop(at, None)
    rest.pop("prompt" if at == "messages" else "messages", None)
    if given in (None, "", []):
        raise TextError("prompt", "The row has no prompt and no messages, or they are empty.")
    messages = check_messages(given, field=at)
    last_is_answer = messages[-1]["role"] == "assistant"
    if kind == "prompts":
        if last_is_answer:
            raise TextError(at, "A prompt ends with the user's turn. Import it as a demonstration?")
        return messages, ""
    if "completion" not in rest and at == "messages":
        if not last_is_answer:
            raise TextError(at, "A demonstration ends with the assistant's answer.")
        return messages[:-1], messages[-1]["content"]
    if last_is_answer:
        raise TextError(at, "Beside a completion, the prompt ends with the user's turn.")
    completion = rest.pop("completion", None)
    if isinstance(completion, list) and len(completion) == 1 and isinstance(completion[0], dict):
        completion = completion[0].get("content")
    return messages, check_text(completion, field="completion")


def _short(rest: dict[str, Any], name: str, most: int) -> str:
    value = rest.pop(name, None) or ""
    if not isinstance(value, str) or len(value) > most or unstorable(value):
        raise TextError(name, f"Must be text of at most {most} characters.")
    return value


def _metadata(rest: dict[str, Any]) -> dict[str, Any]:
    own = rest.pop("metadata", None) or {}
    if not isinstance(own, dict):
        raise TextError("metadata", "Must be an object.")
    metadata = {**rest, **own}
    try:
        parts = list(strings(metadata))
        size = len(json.dumps(metadata, allow_nan=False))
    except (ValueError, TypeError) as error:
        raise TextError("metadata", "The further fields are not plain JSON values.") from error
    if size > MOST_METADATA_BYTES:
        raise TextError(
            "metadata", f"The further fields have {size:,} bytes; the most is {MOST_METADATA_BYTES:,}."
        )
    if fault := next(filter(None, map(unstorable, parts)), ""):
        raise TextError("metadata", fault)
    return metadata


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


def _split_of(sha256: str, split: str | float) -> str:
    if isinstance(split, str):
        return split
    return Split.HELDOUT if int(sha256[:8], 16) < split * 2**32 else Split.TRAIN
