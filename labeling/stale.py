"""Stale labels: made under an older version of the guideline than one that changed what they mean.

A mark never touches its label. What it says counts elsewhere: labels to relabel or to exclude train nothing
(`AnnotationQuerySet.trainable`), and the task of one to relabel asks for another label.
"""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _

from guidelines.models import Guideline, GuidelineVersion
from guidelines.plan import RELABEL, Plan
from labeling.models import Annotation, AnnotationQuerySet, Labeler, Staleness, Task

Change = GuidelineVersion.Change
# Kinds of task that judge by criteria. Reviews judge labels by the version of those labels.
BY_CRITERIA = [Task.Kind.RATE, Task.Kind.MARK]
ALL = [kind for kind in Task.Kind.values if kind != Task.Kind.REVIEW]

# The sample of a seed: a number from 0 to 1 by the label's own number, alike on every machine and version.
_DRAWN = "('x' || substr(md5(%s || ':' || label.id), 1, 8))::bit(32)::bigint < %s"

# One statement, since there may be a million labels; what nobody can make anew stays in use.
_MARK = """
insert into labeling_staleness (annotation_id, version_id, treatment, reason, created_at)
select label.id, %s,
    case when %s <> 'relabel' then %s
         when label.kind = any(%s) and {drawn} then 'relabel'
         else 'keep' end,
    %s, now()
from ({labels}) label
"""

# A surplus label holds no place among those its task wants, so another does not take its place.
_REOPEN = """
update labeling_task set wanted = least(wanted + marked.n, 32767), guideline_version_id = %s
from (select label.task_id, count(*) as n
      from labeling_staleness mark join labeling_annotation label on label.id = mark.annotation_id
      where mark.version_id = %s and mark.treatment = 'relabel' and not label.surplus
      group by label.task_id) marked
where labeling_task.id = marked.task_id and labeling_task.state = 'open'
"""

# Who was at work when a version came finishes by the version that they read.
_LATE = """
insert into labeling_staleness (annotation_id, version_id, treatment, reason, created_at)
select %(label)s, newer.id,
    case when newer.plan ->> 'labels' = 'exclude' then 'exclude' else 'keep' end, %(reason)s, now()
from guidelines_guidelineversion read_then join guidelines_guidelineversion newer
    on newer.guideline_id = read_then.guideline_id and newer.number > read_then.number
where read_then.id = %(version)s and newer.change not in ('', 'typo')
  and (newer.change <> 'criterion' or %(by_criteria)s) and %(kind)s <> 'review'
"""

_FOLLOW = """
insert into labeling_staleness (annotation_id, version_id, treatment, reason, created_at)
select %s, version_id, treatment, reason, now() from labeling_staleness where annotation_id = %s
"""


def kinds(change: str) -> list[str]:
    """The kinds of task whose labels a change of this kind makes stale."""
    if change in {"", Change.TYPO}:
        return []
    return list(BY_CRITERIA) if change == Change.CRITERION else list(ALL)


def concerned(*, guideline: Guideline, change: str) -> AnnotationQuerySet:
    """Labels that the next version makes stale: valid ones in use, but for gold and what came by an import.

    An import was made under no version of ours, and nobody can be asked to make it anew.
    """
    out = Staleness.objects.exclude(treatment=Staleness.Treatment.KEEP)
    return (
        Annotation.objects.valid()
        .filter(~Exists(out.filter(annotation=OuterRef("pk"))), kind__in=kinds(change))
        .filter(guideline_version__guideline=guideline, task__gold__isnull=True)
        .exclude(labeler__kind=Labeler.Kind.IMPORT)
    )


def remade(labels: AnnotationQuerySet, *, plan: Plan, has_spans: bool) -> QuerySet[Annotation]:
    """Those of `concerned` that the plan's share and seed draw to be made anew."""
    if plan.labels != RELABEL:
        return labels.none()
    return labels.filter(kind__in=_to_remake(has_spans)).extra(
        where=[_DRAWN.replace("label.id", "labeling_annotation.id")],
        params=[str(plan.seed), _bound(plan.share)],
    )


def mark(*, version: GuidelineVersion, labels: AnnotationQuerySet, plan: Plan, has_spans: bool) -> int:
    """Mark ``labels`` as the plan says; return how many. Call inside the transaction that publishes.

    Call it before anything that others wait for: a million marks take their time.
    """
    # Sorted, they are all known before the first is marked: the search looks at the marks that there are.
    query, parameters = labels.order_by("pk").values("id", "kind").query.sql_with_params()
    drawn = [str(plan.seed), _bound(plan.share)]
    asked = [
        version.pk,
        plan.labels,
        plan.labels,
        _to_remake(has_spans),
        *drawn,
        reason(version),
        *parameters,
    ]
    with connection.cursor() as cursor:
        cursor.execute(_MARK.format(drawn=_DRAWN, labels=query), asked)
        marked = cursor.rowcount
        # The keys are looked up now rather than at the commit, when live events wait behind ours.
        cursor.execute("set constraints all immediate; set constraints all deferred")
        return marked


def reopen(version: GuidelineVersion) -> int:
    """Let the tasks of labels that ``version`` marked to be made anew want as many more; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(_REOPEN, [version.pk, version.pk])
        return cursor.rowcount


def mark_late(label: Annotation) -> None:
    """Mark a label that was made under a version older than one that is published by now."""
    parameters: dict[str, Any] = {
        "label": label.pk,
        "version": label.guideline_version_id,
        "kind": label.kind,
        "by_criteria": label.kind in BY_CRITERIA,
        "reason": _("begun before the version was published"),
    }
    with connection.cursor() as cursor:
        cursor.execute(_LATE, parameters)


def follow(old: Annotation, new: Annotation) -> None:
    """A revision goes by the version of the label that it revises, so it is as stale."""
    with connection.cursor() as cursor:
        cursor.execute(_FOLLOW, [new.pk, old.pk])


def reason(version: GuidelineVersion) -> str:
    """Why a label is stale, for whoever reads the mark."""
    words = {
        Change.WORDING: _("the wording changed"),
        Change.EXAMPLE: _("an example changed"),
        Change.CRITERION: _("a criterion changed"),
        Change.RULE: _("a priority rule changed"),
    }
    said = words.get(Change(version.change), "") if version.change else ""
    return f"{said}: {version.note}"[:500] if version.note else said


def counts(version: GuidelineVersion) -> dict[str, int]:
    """How many valid labels the version marked, by treatment."""
    valid = Annotation.objects.valid().filter(pk=OuterRef("annotation"))
    found = Staleness.objects.filter(Exists(valid), version=version).order_by().values_list("treatment")
    return dict.fromkeys(Staleness.Treatment.values, 0) | dict(found.annotate(n=Count("pk")))


def _to_remake(has_spans: bool) -> list[str]:
    return [kind for kind in ALL if has_spans or kind != Task.Kind.MARK]


def _bound(share: float) -> int:
    return round(share * 2**32)
