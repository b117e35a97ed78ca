"""Freeze labels into datasets, and read their rows back in the forms that trainers take.

A dataset is a list of labels (or prompts) with weights. Labels and completions never change, so its rows
follow from the list; its digest is the sha256 of its JSONL export in its kind's own form, which anyone can
check with ``sha256sum``.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone

from labeling import formats
from labeling.models import Annotation, Candidate, Dataset, DatasetItem, Project, Prompt, Split, Task
from labeling.texts import unstorable

Row = dict[str, Any]

# The forms that a dataset of each kind can be read in; the first is its own, which its digest covers.
FORMS = {
    Dataset.Kind.DEMONSTRATIONS: ("sft", "prompts"),
    Dataset.Kind.PREFERENCES: ("groups", "pairs", "prompts"),
    Dataset.Kind.PROMPTS: ("prompts",),
}
CHUNK = 500


class DatasetError(ValueError):
    """A dataset that cannot be frozen or read so; ``field`` names what to mend."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def freeze(
    *,
    project: Project,
    kind: str,
    filter: Mapping[str, Any] | None = None,
    weights: Mapping[int, float] | None = None,
    user: Any = None,
) -> Dataset:
    """List the project's trainable labels of ``kind`` (or its prompts) as of now, and return the dataset.

    Valid labels of the training split only; several labels of one task stay several rows, surplus ones too.

    Args:
        filter: for labels any of ``guideline_version`` (numbers), ``round`` (numbers), ``labeler`` (ids) and
            ``since`` (ISO 8601, by time of submission); for prompts ``split`` (train unless given),
            ``use_case``, ``language`` and ``since``. Where a list is taken, one value will do.
        weights: by the id of the label (or prompt), 0 or more; 1 where absent.

    Raises:
        DatasetError: an unknown kind or filter, a bad weight, or nothing to freeze.
    """
    if kind not in FORMS:
        raise DatasetError("kind", f"Must be one of {', '.join(Dataset.Kind.values)}.")
    asked = _check_filter(kind, filter or {})
    weights = _check_weights(weights or {})
    with transaction.atomic():
        # The row lock numbers datasets one after another when two are frozen at once.
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        newest = project.datasets.aggregate(newest=Max("number"))["newest"] or 0
        dataset = Dataset.objects.create(
            project=project, kind=kind, number=newest + 1, filter=asked, user=user, digest=""
        )
        chosen = _chosen(project=project, kind=kind, asked=asked).order_by("pk").values_list("pk", flat=True)
        dataset.size = _list(dataset, chosen.iterator(chunk_size=CHUNK), weights=dict(weights))
        if not dataset.size:
            raise DatasetError("filter", _nothing(project=project, kind=kind, asked=asked))
        digest = hashlib.sha256()
        for row in rows(dataset):
            digest.update(formats.line(row))
        dataset.digest = digest.hexdigest()
        dataset.save(update_fields=["size", "digest"])
    return dataset


def rows(dataset: Dataset, form: str | None = None) -> Iterator[Row]:
    """Yield the dataset's rows in order, in ``form`` or its kind's own; at most `CHUNK` of them in memory.

    The forms are those of `labeling.formats`. In ``pairs`` a tie gives no pair, ``margin`` is the distance in
    tiers (Llama 2, arXiv 2307.09288, section 3.2.2, has such a margin by strength), and the weights of a
    ranking's pairs add up to its own (InstructGPT, arXiv 2203.02155, equation 1).

    Raises:
        DatasetError: the dataset's kind has no such form.
    """
    form = form or FORMS[Dataset.Kind(dataset.kind)][0]
    if form not in FORMS[Dataset.Kind(dataset.kind)]:
        known = ", ".join(FORMS[Dataset.Kind(dataset.kind)])
        raise DatasetError("form", f"A dataset of {dataset.kind} can be read as {known}, not as {form!r}.")
    return {"sft": _sft, "groups": _groups, "pairs": _pairs, "prompts": _prompts}[form](dataset)


def _sft(dataset: Dataset) -> Iterator[Row]:
    for label in _labels(dataset):
        answer = {"role": "assistant", "content": label["annotation__answer"]["text"]}
        yield {"messages": [*label["annotation__task__prompt__messages"], answer], **_marks(label)}


def _groups(dataset: Dataset) -> Iterator[Row]:
    for chunk in _chunks(_labels(dataset)):
        candidates = _candidates({label["annotation__task_id"] for label in chunk})
        for label in chunk:
            tiers = label["annotation__answer"]["tiers"]
            rank = {candidate: at for at, tier in enumerate(tiers) for candidate in tier}
            shown = candidates[label["annotation__task_id"]]
            yield {
                "prompt": label["annotation__task__prompt__messages"],
                "completions": [[{"role": "assistant", "content": text}] for _, text, _ in shown],
                "ranks": [rank[candidate] for candidate, _, _ in shown],
                "finished": [finished for _, _, finished in shown],
                **_marks(label),
            }


def _pairs(dataset: Dataset) -> Iterator[Row]:
    for group in _groups(dataset):
        marks = {key: group[key] for key in ("label", "labeler", "guideline_version")}
        ranked = list(zip(group["ranks"], group["completions"], strict=True))
        pairs = [(worse - better, a, b) for better, a in ranked for worse, b in ranked if better < worse]
        for distance, chosen, rejected in pairs:
            yield {
                "prompt": group["prompt"],
                "chosen": chosen,
                "rejected": rejected,
                "margin": float(distance),
                "weight": group["weight"] / len(pairs),
                **marks,
            }


def _prompts(dataset: Dataset) -> Iterator[Row]:
    if dataset.kind == Dataset.Kind.PROMPTS:
        found = Prompt.objects.filter(dataset_items__dataset=dataset).order_by("dataset_items__ordinal")
    else:
        labels = DatasetItem.objects.filter(dataset=dataset).values("annotation__task__prompt")
        found = Prompt.objects.filter(pk__in=labels).order_by("pk")
    fields = ("messages", "pk", "split", "use_case", "language", "metadata")
    for messages, pk, split, use_case, language, metadata in found.values_list(*fields).iterator(CHUNK):
        yield {
            "prompt": messages,
            "prompt_id": pk,
            "split": split,
            "use_case": use_case,
            "language": language,
            "metadata": json.dumps(metadata, ensure_ascii=False, sort_keys=True),
        }


def _labels(dataset: Dataset) -> Iterator[Row]:
    """The dataset's labels in order, through a cursor on the server."""
    items = dataset.items.order_by("ordinal").values(
        "weight",
        "annotation_id",
        "annotation__answer",
        "annotation__labeler_id",
        "annotation__task_id",
        "annotation__task__prompt__messages",
        "annotation__guideline_version__number",
    )
    yield from items.iterator(chunk_size=CHUNK)


def _marks(label: Row) -> Row:
    return {
        "weight": label["weight"],
        "label": str(label["annotation_id"]),
        "labeler": str(label["annotation__labeler_id"]),
        "guideline_version": label["annotation__guideline_version__number"],
    }


def _candidates(tasks: Iterable[int]) -> dict[int, list[tuple[int, str, bool]]]:
    """(id, text, finished) of each task's candidates, by position."""
    found: dict[int, list[tuple[int, str, bool]]] = defaultdict(list)
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
        chosen = Prompt.objects.filter(project=project)
        lookups = {
            "split": "split",
            "use_case": "use_case",
            "language": "language",
            "since": "created_at__gte",
        }
    else:
        task = Task.Kind.RANK if kind == Dataset.Kind.PREFERENCES else Task.Kind.DEMONSTRATE
        chosen = Annotation.objects.trainable().filter(task__project=project, kind=task)
        lookups = {
            "guideline_version": "guideline_version__number__in",
            "round": "task__round_number__in",
            "labeler": "labeler__in",
            "since": "submitted_at__gte",
        }
    return chosen.filter(**{lookups[key]: value for key, value in (asked | since).items()})


def _check_filter(kind: str, asked: Mapping[str, Any]) -> Row:
    """The filter in its one stored form: lists sorted, times with their zone."""
    checks = _PROMPT_CHECKS if kind == Dataset.Kind.PROMPTS else _LABEL_CHECKS
    checked = {"split": Split.TRAIN.value} if kind == Dataset.Kind.PROMPTS else {}
    for key, value in asked.items():
        if key not in checks:
            raise DatasetError(f"filter.{key}", f"{kind} can be filtered by {', '.join(checks)}.")
        try:
            checked[key] = checks[key](value)
        except (ValueError, TypeError, RecursionError) as error:
            raise DatasetError(f"filter.{key}", f"This is no {_EXPECTED[key]}.") from error
    return checked


def _numbers(value: Any) -> list[int]:
    numbers = sorted({int(str(one)) for one in _several(value)})
    if numbers and not (numbers[0] >= 0 and numbers[-1] < 2**31):
        raise ValueError
    return numbers


def _ids(value: Any) -> list[str]:
    return sorted({str(UUID(str(one))) for one in _several(value)})


def _several(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple | set) else [value]


def _time(value: Any) -> str:
    time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return (time if timezone.is_aware(time) else timezone.make_aware(time)).isoformat()


def _text(value: Any) -> str:
    if not isinstance(value, str) or unstorable(value):
        raise TypeError
    return value


_LABEL_CHECKS: dict[str, Callable[[Any], Any]] = {
    "guideline_version": _numbers,
    "round": _numbers,
    "labeler": _ids,
    "since": _time,
}
_PROMPT_CHECKS: dict[str, Callable[[Any], Any]] = {
    "split": lambda value: Split(value).value,
    "use_case": _text,
    "language": _text,
    "since": _time,
}
_EXPECTED = {
    "guideline_version": "version number or list of them",
    "round": "round number or list of them",
    "labeler": "labeler id or list of them",
    "since": "ISO 8601 time, such as 2026-01-31 or 2026-01-31T12:00:00Z",
    "split": "split: train or heldout",
    "use_case": "text",
    "language": "text",
}


def _check_weights(weights: Mapping[int, float]) -> Mapping[int, float]:
    for pk, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
            raise DatasetError(
                "weights", f"The weight of {pk} must be a number of 0 or more, not {weight!r}."
            )
    return weights


def _nothing(*, project: Project, kind: str, asked: Row) -> str:
    noun = kind if kind == Dataset.Kind.PROMPTS else f"trainable {kind}"
    if there := _chosen(project=project, kind=kind, asked={}).count():
        return f"None of the {there:,} {noun} of {project.slug} is left by this filter. Widen it."
    return f"{project.slug} has no {noun} yet. Label or import some first."
