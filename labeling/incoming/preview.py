"""What an import would be, before anything of it is stored: understood, refused, repeated, personal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Unpack

from labeling.content import csv_text
from labeling.content.messages import plain
from labeling.content.texts import Message
from labeling.incoming import intake, personal_data
from labeling.incoming.entries import Entry
from labeling.incoming.intake import How
from labeling.models import Import, Project, Prompt, Split

FIRST = 5
MOST_LISTED = 200
MOST_COMPARED = 50_000  # of the project's prompts, the newest
LONGEST_SHOWN = 160


@dataclass(frozen=True)
class NearDuplicate:
    row: int
    text: str
    of_row: int | None
    """The earlier row, or None where it is a prompt of the project."""
    of_prompt: int | None
    of_text: str
    likeness: float


@dataclass(frozen=True)
class Personal:
    """One find of personal data, and where it stands."""

    row: int
    field: str
    kind: personal_data.Kind
    start: int
    masked: str

    @property
    def label(self) -> str:
        return str(self.kind.label)


@dataclass(frozen=True)
class Shown:
    """A row as it was understood."""

    row: int
    messages: list[Message]
    text: str
    completions: tuple[tuple[str, str], ...]
    split: str
    facts: list[tuple[str, str]]


@dataclass
class Preview:
    batch: Import
    """As it would be; not saved."""
    first: list[Shown] = field(default_factory=list)
    near: list[NearDuplicate] = field(default_factory=list)
    near_count: int = 0
    compared_all: bool = True
    """Whether every prompt of the project was looked at, or the newest only."""
    personal: list[Personal] = field(default_factory=list)
    personal_rows: int = 0
    personal_kinds: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    use_cases: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)

    @property
    def refused(self) -> int:
        return refused(self.batch)

    @property
    def heldout(self) -> int:
        return self.splits[Split.HELDOUT]


@dataclass(frozen=True)
class _Seen:
    """What is kept of a row until the import has judged it."""

    row: int
    text: str
    split: str
    use_case: str
    language: str
    personal: tuple[tuple[str, personal_data.Finding], ...]


def preview(
    *, project: Project, kind: str, rows: Iterable[Any], model: str = "", **how: Unpack[How]
) -> Preview:
    """Judge every row as an import of ``kind`` would, and store nothing.

    Near-duplicates are looked for among the rows and against the project's newest `MOST_COMPARED` prompts;
    their time and that for personal data grow with the size of the rows.

    Raises:
        IntakeError: as the import would.
        work.WorkError: likewise.
    """
    first: list[Entry] = []
    seen: list[_Seen] = []

    def watch(entry: Entry) -> None:
        if len(first) < FIRST:
            first.append(entry)
        text = "\n".join(one["content"] for one in plain(entry.messages))
        personal = tuple(personal_data.in_texts(_texts(entry)))
        seen.append(_Seen(entry.row, text, entry.split, entry.use_case, entry.language, personal))

    verb = intake.VERBS[kind]
    more = {"model": model} if kind == Import.Kind.COMPLETIONS else {}
    batch = verb(
        project=project, rows=rows, source="rows", **{**how, **more, "dry_run": True, "watch": watch}
    )
    out = {refusal["row"] for refusal in batch.refused}
    kept = [one for one in seen if one.row not in out]
    found = Preview(batch=batch, first=[_shown(entry) for entry in first if entry.row not in out])
    for one in kept:
        found.splits[str(one.split)] += 1
        found.use_cases[one.use_case] += 1
        found.languages[one.language] += 1
        _note_personal(found, one)
    _note_near(found, project, kept)
    return found


def refused(batch: Import) -> int:
    """How many rows were refused, those included that are no longer listed one by one."""
    listed = [one for one in batch.refused if one["row"] is not None]
    more = [one["reason"] for one in batch.refused if one["row"] is None]
    return len(listed) + sum(int(reason.split()[0].replace(",", "")) for reason in more)


def refusals_as_csv(batch: Import) -> Iterator[str]:
    """The refused rows, a line each."""
    yield csv_text.line(("row", "field", "reason"))
    for one in batch.refused:
        row = "" if one["row"] is None else one["row"]
        yield csv_text.line((row, csv_text.cell(one["field"]), csv_text.cell(one["reason"])))


def as_dict(found: Preview) -> dict[str, Any]:
    """A preview as the API writes it."""
    return {
        "near_duplicates": {
            "rows": found.near_count,
            "compared_all": found.compared_all,
            "first": [
                {
                    "row": one.row,
                    "of_row": one.of_row,
                    "of_prompt": one.of_prompt,
                    "likeness": round(one.likeness, 3),
                }
                for one in found.near
            ],
        },
        "personal_data": {
            "rows": found.personal_rows,
            "kinds": dict(found.personal_kinds),
            "first": [
                {"row": one.row, "field": one.field, "kind": one.kind.value, "start": one.start}
                for one in found.personal
            ],
        },
        "splits": dict(found.splits),
    }


def _note_personal(found: Preview, one: _Seen) -> None:
    if not one.personal:
        return
    found.personal_rows += 1
    for place, finding in one.personal:
        found.personal_kinds[finding.kind.value] += 1
        if len(found.personal) < MOST_LISTED:
            found.personal.append(Personal(one.row, place, finding.kind, finding.start, finding.masked))


def _note_near(found: Preview, project: Project, kept: list[_Seen]) -> None:
    if not kept:
        return
    # It brings numpy, which a web process does without until somebody looks at an import.
    from labeling.incoming import duplicates

    prompts = Prompt.objects.filter(project=project, withdrawn=False).order_by("-pk")
    known = prompts.values_list("pk", "messages")[:MOST_COMPARED]
    # Where a row adds to a prompt that is there, that is no repetition.
    adds = found.batch.kind != Import.Kind.PROMPTS
    count = 0

    def texts() -> Iterator[tuple[tuple[str, int], str]]:
        nonlocal count
        for pk, messages in known.iterator(chunk_size=2000):
            count += 1
            yield ("prompt", pk), "\n".join(one["content"] for one in plain(messages))
        for at, one in enumerate(kept):
            yield ("row", at), one.text

    for pair in duplicates.pairs(texts()):
        what, at = pair.key
        of_what, other = pair.of
        if what != "row" or (adds and pair.likeness == 1):
            continue
        found.near_count += 1
        if len(found.near) >= MOST_LISTED:
            continue
        of_row = kept[other] if of_what == "row" else None
        near = NearDuplicate(
            row=kept[at].row,
            text=kept[at].text[:LONGEST_SHOWN],
            of_row=of_row.row if of_row else None,
            of_prompt=None if of_row else other,
            of_text=of_row.text[:LONGEST_SHOWN] if of_row else "",
            likeness=pair.likeness,
        )
        found.near.append(near)
    found.near = _with_texts(found.near)
    found.compared_all = count < MOST_COMPARED


def _with_texts(near: list[NearDuplicate]) -> list[NearDuplicate]:
    named = Prompt.objects.in_bulk({one.of_prompt for one in near if one.of_prompt})
    texts = {
        pk: "\n".join(one["content"] for one in plain(prompt.messages))[:LONGEST_SHOWN]
        for pk, prompt in named.items()
    }
    return [
        NearDuplicate(one.row, one.text, None, one.of_prompt, texts[one.of_prompt], one.likeness)
        if one.of_prompt
        else one
        for one in near
    ]


def _texts(entry: Entry) -> Iterator[tuple[str, str]]:
    """The texts of a row with the names of their fields."""
    for at, message in enumerate(entry.messages):
        content = message["content"]
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        for part in parts:
            if part.get("text"):
                yield f"messages[{at}]" if len(entry.messages) > 1 else "prompt", part["text"]
    if entry.text:
        yield "completion", entry.text
    for at, (text, _) in enumerate(entry.completions):
        yield f"completions[{at}]", text


def _shown(entry: Entry) -> Shown:
    facts = [
        (name, value)
        for name, value in (
            ("use case", entry.use_case),
            ("language", entry.language),
            ("skill", entry.skill),
            *((key, str(value)) for key, value in list(entry.metadata.items())[:6]),
        )
        if value
    ]
    if entry.sensitive:
        facts.insert(0, ("sensitive", "yes"))
    return Shown(entry.row, plain(entry.messages), entry.text, entry.completions[:9], entry.split, facts)
