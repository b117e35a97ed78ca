"""Freeze labels into datasets, and read their rows back in the forms that trainers take.

A dataset is a list of labels (or prompts) with weights. Labels and completions never change, so its rows
follow from the list; its digest is the sha256 of its JSONL export in its kind's own form, which anyone can
check with ``sha256sum``.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import BooleanField, F, Func, IntegerField, Max, Q, QuerySet, TextField
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, StrIndex

from labeling.content.messages import plain
from labeling.content.texts import Message
from labeling.datasets import filters, formats
from labeling.datasets.filters import DatasetError
from labeling.models import (
    Annotation,
    AnnotationQuerySet,
    Candidate,
    Dataset,
    DatasetItem,
    Project,
    Prompt,
    Task,
)
from labeling.people import audit
from labeling.talks import turns

__all__ = ["FORMS", "LABELS", "DatasetError", "freeze", "rows", "trainable"]

Row = dict[str, Any]
Shown = tuple[int, str, bool]
"""A candidate: its id, text, and whether the text ended by itself."""

# The forms that a dataset of each kind can be read in; the first is its own, which its digest covers.
FORMS = {
    Dataset.Kind.DEMONSTRATIONS: ("sft", "prompts"),
    Dataset.Kind.PREFERENCES: ("groups", "pairs", "ratings", "prompts"),
    Dataset.Kind.RATINGS: ("ratings", "prompts"),
    Dataset.Kind.MARKS: ("marks", "prompts"),
    Dataset.Kind.PROMPTS: ("prompts",),
}
# The kinds of label that a dataset of each kind holds.
LABELS = {
    Dataset.Kind.DEMONSTRATIONS: (Task.Kind.DEMONSTRATE, Task.Kind.EDIT),
    Dataset.Kind.PREFERENCES: (
        Task.Kind.RANK,
        Task.Kind.COMPARE,
        Task.Kind.RATE,
        Task.Kind.EDIT,
        Task.Kind.CONVERSE,
    ),
    Dataset.Kind.RATINGS: (Task.Kind.RATE,),
    Dataset.Kind.MARKS: (Task.Kind.MARK,),
}
# Llama 2's four degrees (arXiv 2307.09288, table 28, "margin large"): a tie asks for no distance.
MARGINS = {"much": 3.0, "better": 2.0, "slightly": 1.0, "tie": 0.0}
CHUNK = 500


def freeze(
    *,
    project: Project,
    kind: str,
    filter: Mapping[str, Any] | None = None,
    weights: Mapping[int, float] | None = None,
    user: Any = None,
) -> Dataset:
    """List the project's trainable labels of ``kind`` (or its prompts) as of now, and return the dataset.

    Labels are those of `trainable`; several labels of one task stay several rows, surplus ones too.

    Args:
        filter: for labels any of ``guideline_version`` (numbers), ``round`` (numbers), ``labeler`` (ids) and
            ``since`` (ISO 8601, by time of submission), and ``weigh`` (``reliability`` for the weights of
            `quality.weigh`, which ``weights`` go before); for prompts ``split`` (train unless given),
            ``use_case``, ``language`` and ``since``. Where a list is taken, one value will do.
        weights: by the id of the label (or prompt), 0 or more; 1 where absent.

    Raises:
        DatasetError: an unknown kind or filter, a bad weight, or nothing to freeze.
    """
    if kind not in FORMS:
        raise DatasetError("kind", f"Must be one of {', '.join(Dataset.Kind.values)}.")
    asked = filters.check(kind, filter or {})
    weights = filters.check_weights(weights or {})
    with transaction.atomic():
        # The row lock numbers datasets one after another when two are frozen at once.
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        newest = project.datasets.aggregate(newest=Max("number"))["newest"] or 0
        dataset = Dataset.objects.create(
            project=project,
            kind=kind,
            number=newest + 1,
            filter=asked,
            schema=formats.SCHEMA,
            user=user,
            digest="",
        )
        chosen = _chosen(project=project, kind=kind, asked=asked).order_by("pk").values_list("pk", flat=True)
        if asked.get("weigh") == filters.RELIABILITY:
            # Numpy is for those who ask for it: a web process does without.
            from labeling.quality import weigh

            weights = {**weigh.of_labels(project, chosen.values_list("pk", "labeler")), **weights}
        dataset.size = _list(dataset, chosen.iterator(chunk_size=CHUNK), weights=dict(weights))
        if not dataset.size:
            raise DatasetError("filter", _nothing(project=project, kind=kind, asked=asked))
        digest = hashlib.sha256()
        for row in rows(dataset):
            digest.update(formats.line(row))
        dataset.digest = digest.hexdigest()
        dataset.save(update_fields=["size", "digest"])
        about = f"dataset {dataset.number} ({kind})"
        audit.record(
            actor=user,
            action="dataset.freeze",
            target=about,
            project=project,
            size=dataset.size,
            filter=asked,
        )
    return dataset


def trainable(*, project: Project, kind: str) -> AnnotationQuerySet:
    """The project's labels that a dataset of ``kind`` would hold now: valid ones of the training split.

    Preferences are those that order two answers or more: not where all but one were left out as bad, nor an
    edit that changed nothing, nor one answer rated by itself, nor a talk whose every turn is a tie.
    """
    labels = Annotation.objects.trainable().filter(task__project=project, kind__in=LABELS[Dataset.Kind(kind)])
    if kind != Dataset.Kind.PREFERENCES:
        return labels
    placed = Func(
        F("answer"),
        template="jsonb_array_length(jsonb_path_query_array(%(expressions)s, '$.tiers[*][*]'))",
        output_field=IntegerField(),
    )
    # As `texts.text_hash` hashes the model's answer; without a join, for a project's pages count labels too.
    written = Func(
        KT("answer__text"),
        template="encode(sha256(convert_to(%(expressions)s, 'UTF8')), 'hex')",
        output_field=TextField(),
    )
    unchanged = StrIndex(Cast("text_hashes", TextField()), written)
    decided = Func(
        F("answer"),
        template="jsonb_path_exists(%(expressions)s, '$.turns[*] ? (@.strength != \"tie\")')",
        output_field=BooleanField(),
    )
    return labels.alias(placed=placed, unchanged=unchanged, decided=decided).filter(
        # A ranking places two or more unless all are bad: only those are counted, which costs more.
        Q(kind=Task.Kind.COMPARE)
        | (Q(kind=Task.Kind.RANK) & ~Q(answer__has_key="all_bad"))
        | Q(kind__in=[Task.Kind.RANK, Task.Kind.RATE], placed__gte=2)
        | Q(kind=Task.Kind.EDIT, unchanged=0)
        | Q(kind=Task.Kind.CONVERSE, decided=True)
    )


def rows(dataset: Dataset, form: str | None = None) -> Iterator[Row]:
    """Yield the dataset's rows in order, in ``form`` or its kind's own; at most `CHUNK` of them in memory.

    The forms are those of `labeling.datasets.formats`, with the columns that the dataset was frozen with. In
    ``groups`` an edit stands above the answer it mends, answers that a ranking left out are left out, a talk
    is one row a turn, and ``margin`` is that of a comparison or turn by its strength, 0 for other labels. In
    ``pairs`` a tie gives no pair, ``margin`` is else the distance in tiers, and the weights of a ranking's
    pairs add up to its own (InstructGPT, arXiv 2203.02155, equation 1).

    Raises:
        DatasetError: the dataset's kind has no such form.
    """
    form = form or FORMS[Dataset.Kind(dataset.kind)][0]
    if form not in FORMS[Dataset.Kind(dataset.kind)]:
        known = ", ".join(FORMS[Dataset.Kind(dataset.kind)])
        raise DatasetError("form", f"A dataset of {dataset.kind} can be read as {known}, not as {form!r}.")
    made = _MAKERS[form]
    return (dict(formats.in_schema(row, form=form, schema=dataset.schema)) for row in made(dataset))


def _sft(dataset: Dataset) -> Iterator[Row]:
    for label in _labels(dataset):
        asked = plain(label["annotation__task__prompt__messages"])
        messages = [*asked, _said(label["annotation__answer"]["text"])]
        yield {"messages": messages, **_marks(label), **_assistance(label)}


def _groups(dataset: Dataset) -> Iterator[Row]:
    for chunk in _chunks(_labels(dataset)):
        candidates = _candidates({label["annotation__task_id"] for label in chunk})
        said = turns.said_in(label["annotation__answer"] for label in chunk)
        for label in chunk:
            if label["annotation__kind"] == Task.Kind.CONVERSE:
                opening = label["annotation__task__prompt__messages"]
                for group, strength in turns.groups(label["annotation__answer"], opening=opening, said=said):
                    yield {**group, "margin": MARGINS[strength], **_marks(label), **_assistance(label)}
                continue
            ordered, margin = _ordered(label, candidates[label["annotation__task_id"]])
            yield {
                "prompt": plain(label["annotation__task__prompt__messages"]),
                "completions": [[_said(text)] for _, text, _ in ordered],
                "ranks": [rank for rank, _, _ in ordered],
                "finished": [finished for _, _, finished in ordered],
                "margin": margin,
                **_marks(label),
                **_assistance(label),
            }


def _ordered(label: Row, shown: list[Shown]) -> tuple[list[tuple[int, str, bool]], float]:
    """(rank, text, finished) of each answer that a label orders, by position, and the label's margin."""
    answer, kind = label["annotation__answer"], label["annotation__kind"]
    if kind == Task.Kind.EDIT:
        return [(1, text, finished) for _, text, finished in shown] + [(0, answer["text"], True)], 0.0
    if kind == Task.Kind.COMPARE:
        # Null where it is a tie: then both come first.
        best = answer["preferred"]
        rank = {candidate: int(best not in (None, candidate)) for candidate, _, _ in shown}
    else:
        rank = {candidate: at for at, tier in enumerate(answer["tiers"]) for candidate in tier}
    ordered = [(rank[pk], text, finished) for pk, text, finished in shown if pk in rank]
    return ordered, MARGINS[answer["strength"]] if kind == Task.Kind.COMPARE else 0.0


def _pairs(dataset: Dataset) -> Iterator[Row]:
    for group in _groups(dataset):
        ranked = list(zip(group.pop("ranks"), group.pop("completions"), strict=True))
        pairs = [(worse - better, a, b) for better, a in ranked for worse, b in ranked if better < worse]
        prompt, margin, _ = group.pop("prompt"), group.pop("margin"), group.pop("finished")
        for distance, chosen, rejected in pairs:
            answers = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
            marks = {**group, "weight": group["weight"] / len(pairs)}
            yield {**answers, "margin": margin or float(distance), **marks}


def _ratings(dataset: Dataset) -> Iterator[Row]:
    for chunk in _chunks(_labels(dataset, kind=Task.Kind.RATE)):
        candidates = _candidates({label["annotation__task_id"] for label in chunk})
        for label in chunk:
            answer = label["annotation__answer"]
            ratings, flags = _scales_and_flags(answer.get("prompt") or {})
            of_prompt = {"prompt_ratings": ratings, "prompt_flags": flags}
            for candidate, text, _ in candidates[label["annotation__task_id"]]:
                ratings, flags = _scales_and_flags(answer["ratings"].get(str(candidate)) or {})
                yield {
                    "prompt": plain(label["annotation__task__prompt__messages"]),
                    "completion": [_said(text)],
                    "ratings": ratings,
                    "flags": flags,
                    **of_prompt,
                    **_marks(label),
                }


def _passages(dataset: Dataset) -> Iterator[Row]:
    """One row a mark; an answer in which nothing was marked is one row without a passage."""
    for chunk in _chunks(_labels(dataset)):
        candidates = _candidates({label["annotation__task_id"] for label in chunk})
        for label in chunk:
            ((_, text, _),) = candidates[label["annotation__task_id"]]
            for mark in label["annotation__answer"]["marks"] or [None]:
                yield {
                    "prompt": plain(label["annotation__task__prompt__messages"]),
                    "completion": [_said(text)],
                    "start": mark and mark["start"],
                    "end": mark and mark["end"],
                    "quote": mark and text[mark["start"] : mark["end"]],
                    "criterion": mark and mark["criterion"],
                    "comment": mark and mark.get("comment"),
                    **_marks(label),
                }


def _scales_and_flags(values: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The values on scales, as JSON, and the keys of the flags that are set."""
    scales = {key: value for key, value in values.items() if not isinstance(value, bool)}
    flags = sorted(key for key, value in values.items() if value is True)
    return json.dumps(scales, ensure_ascii=False, sort_keys=True), flags


def _prompts(dataset: Dataset) -> Iterator[Row]:
    if dataset.kind == Dataset.Kind.PROMPTS:
        found = Prompt.objects.filter(dataset_items__dataset=dataset).order_by("dataset_items__ordinal")
    else:
        labels = DatasetItem.objects.filter(dataset=dataset).values("annotation__task__prompt")
        # What a talk begins with is no prompt for a model.
        found = Prompt.objects.filter(pk__in=labels, next_role=Prompt.Next.ASSISTANT).order_by("pk")
    fields = ("messages", "pk", "split", "use_case", "language", "metadata")
    for messages, pk, split, use_case, language, metadata in found.values_list(*fields).iterator(CHUNK):
        yield {
            "prompt": plain(messages),
            "prompt_id": pk,
            "split": split,
            "use_case": use_case,
            "language": language,
            "metadata": json.dumps(metadata, ensure_ascii=False, sort_keys=True),
        }


_MAKERS: dict[str, Callable[[Dataset], Iterator[Row]]] = {
    "sft": _sft,
    "groups": _groups,
    "pairs": _pairs,
    "ratings": _ratings,
    "marks": _passages,
    "prompts": _prompts,
}


def _labels(dataset: Dataset, **only: Any) -> Iterator[Row]:
    """The dataset's labels in order, through a cursor on the server."""
    items = dataset.items.filter(**{f"annotation__{key}": value for key, value in only.items()})
    fields = items.order_by("ordinal").values(
        "weight",
        "annotation_id",
        "annotation__kind",
        "annotation__answer",
        "annotation__labeler_id",
        "annotation__task_id",
        "annotation__task__prompt__messages",
        "annotation__guideline_version__number",
        "annotation__assisted_by__name",
        "annotation__assisted_share",
    )
    yield from fields.iterator(chunk_size=CHUNK)


def _said(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _marks(label: Row) -> Row:
    return {
        "weight": label["weight"],
        "label": str(label["annotation_id"]),
        "labeler": str(label["annotation__labeler_id"]),
        "guideline_version": label["annotation__guideline_version__number"],
    }


def _assistance(label: Row) -> Row:
    return {
        "assisted_by": label["annotation__assisted_by__name"],
        "assisted_share": label["annotation__assisted_share"],
    }


def _candidates(tasks: Iterable[int]) -> dict[int, list[Shown]]:
    """What each task shows, by position."""
    found: dict[int, list[Shown]] = defaultdict(list)
    candidates = Candidate.objects.filter(task__in=tasks).order_by("task", "position")
    for task, pk, text, finished in candidates.values_list(
        "task_id", "pk", "completion__text", "completion__finished"
    ):
        found[task].append((pk, text, finished))
    return found


def _chunks(source: Iterator[Row]) -> Iterator[list[Row]]:
    while chunk := list(islice(source, CHUNK)):
        yield chunk


def _list(dataset: Dataset, ids: Iterator[int], *, weights: dict[int, float]) -> int:
    """Write the dataset's items and return how many they are."""
    subject = "prompt_id" if dataset.kind == Dataset.Kind.PROMPTS else "annotation_id"
    size = 0
    while chunk := list(islice(ids, CHUNK)):
        DatasetItem.objects.bulk_create(
            DatasetItem(dataset=dataset, ordinal=at, weight=weights.pop(pk, 1.0), **{subject: pk})
            for at, pk in enumerate(chunk, start=size)
        )
        size += len(chunk)
    if size and weights:
        raise DatasetError("weights", f"{min(weights)} is not in what was chosen. Leave its weight out.")
    return size


def _chosen(*, project: Project, kind: str, asked: Row) -> QuerySet[Any]:
    since = {"since": datetime.fromisoformat(asked["since"])} if "since" in asked else {}
    chosen: QuerySet[Any]
    if kind == Dataset.Kind.PROMPTS:
        chosen = Prompt.objects.to_answer().filter(project=project)
        lookups = {
            "split": "split",
            "use_case": "use_case",
            "language": "language",
            "since": "created_at__gte",
        }
    else:
        chosen = trainable(project=project, kind=kind)
        lookups = {
            "guideline_version": "guideline_version__number__in",
            "round": "task__round_number__in",
            "labeler": "labeler__in",
            "since": "submitted_at__gte",
        }
    told = asked | since
    return chosen.filter(**{lookup: told[key] for key, lookup in lookups.items() if key in told})


def _nothing(*, project: Project, kind: str, asked: Row) -> str:
    noun = kind if kind == Dataset.Kind.PROMPTS else f"trainable {kind}"
    if there := _chosen(project=project, kind=kind, asked={}).count():
        return f"None of the {there:,} {noun} of {project.slug} is left by this filter. Widen it."
    return f"{project.slug} has no {noun} yet. Label or import some first."
