"""What publishing a guideline version does to tasks, labels and people; `labeling.apps` registers it.

New tasks use the new version; open tasks that nobody has begun are re-issued at it. A task that somebody
holds, has begun or has labeled keeps the version of its beginning, so that its labels compare and a late one
names what was read. Labels keep theirs, and a review goes by the version of the labels it judges. By the kind
of change older labels become stale: a mark, by which they stay in use, are made anew, or train nothing
(`labeling.stale`). Only then is a task that has such labels re-issued as well.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from guidelines.models import Acknowledgement, Guideline, GuidelineVersion
from guidelines.plan import EXCLUDE, KEEP, RELABEL
from guidelines.publish import Effect, Proposal, Told
from labeling import blast, live, marks, stale
from labeling.models import (
    Annotation,
    AnnotationQuerySet,
    Draft,
    Labeler,
    Lease,
    Membership,
    Project,
    Staleness,
    Task,
    TaskQuerySet,
)
from labeling.people import audit

MOST_NAMED = 5


def preview(proposal: Proposal) -> list[Told]:
    """What publishing ``proposal`` would do now: a sentence each, with its count."""
    guideline = proposal.guideline
    held = (
        Task.objects.filter(project__guideline=guideline, leases__state=Lease.State.OPEN).distinct().count()
    )
    drafts = Draft.objects.filter(task__project__guideline=guideline).count()
    told = [Told("new_tasks", _("New tasks show the new version."))]
    told += _asked(proposal)
    told.append(_reissued(to_reissue(proposal).count()))
    if held:
        words = ngettext(
            "%(n)s task in somebody's hands keeps the version it was opened at.",
            "%(n)s tasks in somebody's hands keep the version they were opened at.",
            held,
        )
        told.append(Told("held", words % {"n": held}, held))
    if drafts:
        words = ngettext(
            "%(n)s draft is kept, and ends by the version it was begun under.",
            "%(n)s drafts are kept, and end by the versions they were begun under.",
            drafts,
        )
        told.append(Told("drafts", words % {"n": drafts}, drafts))
    if not has_spans(proposal.parts.criteria):
        told += _nothing_to_mark(guideline)
    return told + _labels(proposal)


def apply(version: GuidelineVersion, proposal: Proposal) -> list[Told]:
    """Carry the plan out in the publisher's transaction: re-issue tasks, mark labels, tell the browsers."""
    guideline, plan = proposal.guideline, proposal.plan
    told = []
    if stale.kinds(plan.change):
        labels = stale.concerned(guideline=guideline, change=plan.change)
        if stale.mark(version=version, labels=labels, plan=plan, has_spans=has_spans(version.criteria)):
            told += _marked(stale.counts(version))
    told.insert(0, _reissued(to_reissue(proposal).update(guideline_version=version)))
    if plan.labels == RELABEL and (opened := stale.reopen(version)):
        told.append(_opened(opened))
    for project in Project.objects.filter(guideline=guideline).order_by("pk"):
        audit.record(
            actor=version.author,
            action="guideline.publish",
            target=f"{guideline.slug} version {version.number}",
            project=project,
            change=plan.change,
            asks=plan.asks,
            labels=plan.labels,
            **{one.name: one.count for one in told},
        )
        live.announce(project=project, event="guideline", version=version.number)
    return told


def report(version: GuidelineVersion) -> list[Told]:
    """What became of a version since: who read it, which labels it made stale, how many were made anew."""
    told = []
    people = _workers(version.guideline)
    if version.asks and (n := people.count()):
        said = Acknowledgement.objects.filter(
            user=OuterRef("pk"),
            version__guideline=version.guideline_id,
            version__number__gte=version.number,
        )
        done = people.filter(Exists(said)).count()
        words = ngettext("%(done)s of %(n)s person has read it.", "%(done)s of %(n)s people have read it.", n)
        told.append(Told("read", words % {"done": done, "n": n}, done))
    counts = stale.counts(version)
    if any(counts.values()):
        told += _marked(counts)
    if counts[RELABEL]:
        stale_tasks = Staleness.objects.filter(version=version, treatment=RELABEL).values("annotation__task")
        anew = Annotation.objects.valid().filter(
            task__in=stale_tasks,
            guideline_version__guideline=version.guideline_id,
            guideline_version__number__gte=version.number,
        )
        n = anew.count()
        words = ngettext("%(n)s label was made anew.", "%(n)s labels were made anew.", n)
        told.append(Told("remade", words % {"n": n}, n))
    return told


def to_reissue(proposal: Proposal) -> TaskQuerySet:
    """Open tasks that go on under the new version.

    Those that nobody has begun; where older labels train nothing, also those that have such labels: nothing
    is left there to compare with. A lease names the version that was read, so nobody's work is touched.
    """
    tasks = untouched(proposal.guideline)
    if proposal.plan.labels == EXCLUDE:
        kinds = stale.kinds(proposal.plan.change)
        tasks = _open(proposal.guideline).filter(Q(kind__in=kinds) | Q(pk__in=tasks.values("pk")))
    return tasks if has_spans(proposal.parts.criteria) else tasks.exclude(kind=Task.Kind.MARK)


def untouched(guideline: Guideline) -> TaskQuerySet:
    """Open tasks that nobody holds or has labeled, by the counter on the task's own row, nor left half done.

    A rival's lease locks that row; Postgres then looks at the counter again, so that a task is never
    re-issued under the hands of somebody who just opened it.
    """
    unsettled = [Lease.State.OPEN, Lease.State.EXPIRED]
    begun = Lease.objects.filter(task=OuterRef("pk"), state__in=unsettled, first_action_at__isnull=False)
    return _open(guideline).filter(~Exists(begun), taken=0)


def has_spans(criteria: Sequence[dict[str, object]]) -> bool:
    """Whether there is something to mark passages for; tasks that mark keep their version otherwise."""
    return bool(marks.criteria_of(criteria))


def _open(guideline: Guideline) -> TaskQuerySet:
    return Task.objects.open().filter(project__guideline=guideline).exclude(kind=Task.Kind.REVIEW)


def _workers(guideline: Guideline) -> QuerySet[User]:
    """Who labels or reviews under the guideline: by their role, or because they have done so."""
    has_worked = Lease.objects.filter(task__project=OuterRef("project"), labeler__user=OuterRef("user"))
    roles = [Membership.Role.LABELER, Membership.Role.REVIEWER]
    members = Membership.objects.filter(
        Q(role__in=roles) | Exists(has_worked), project__guideline=guideline, user=OuterRef("pk")
    )
    return User.objects.filter(Exists(members), is_active=True).exclude(labeler__kind=Labeler.Kind.SIMULATED)


def _asked(proposal: Proposal) -> list[Told]:
    n = _workers(proposal.guideline).count() if proposal.plan.asks else 0
    if not proposal.plan.asks:
        return [Told("asked", _("Nobody is asked to read it before their next task."))]
    words = ngettext(
        "%(n)s person is shown what changed, and says that they read it, before their next task.",
        "%(n)s people are shown what changed, and say that they read it, before their next task.",
        n,
    )
    return [Told("asked", words % {"n": n}, n)]


def _reissued(n: int) -> Told:
    if not n:
        return Told("reissued", _("No waiting task needs to be re-issued."))
    words = ngettext(
        "%(n)s open task that nobody has begun is re-issued at the new version.",
        "%(n)s open tasks that nobody has begun are re-issued at the new version.",
        n,
    )
    return Told("reissued", words % {"n": n}, n)


def _nothing_to_mark(guideline: Guideline) -> list[Told]:
    n = _open(guideline).filter(kind=Task.Kind.MARK).count()
    if not n:
        return []
    words = ngettext(
        "%(n)s open task marks passages, and the new version has nothing to mark: it keeps its version.",
        "%(n)s open tasks mark passages, and the new version has nothing to mark: they keep their versions.",
        n,
    )
    return [Told("nothing_to_mark", words % {"n": n}, n)]


def _labels(proposal: Proposal) -> list[Told]:
    """What becomes of older labels, and what was made of those that become stale."""
    guideline, plan = proposal.guideline, proposal.plan
    all_labels = Annotation.objects.valid().filter(guideline_version__guideline=guideline)
    labels = stale.concerned(guideline=guideline, change=plan.change)
    reach = blast.radius(labels) if stale.kinds(plan.change) else blast.Radius(labels=0, tasks=0, labelers=0)
    fresh = all_labels.count() - reach.labels
    told = []
    if fresh:
        words = ngettext(
            "%(n)s label keeps the version it was made under, and stays in use.",
            "%(n)s labels keep the versions they were made under, and stay in use.",
            fresh,
        )
        told.append(Told("kept_as_they_are", words % {"n": fresh}, fresh))
    if not reach.labels:
        return told
    told += _marked(_treated(proposal, labels, reach.labels))
    if plan.labels == RELABEL:
        drawn = stale.remade(labels, plan=plan, has_spans=has_spans(proposal.parts.criteria))
        tasks = drawn.filter(surplus=False, task__state=Task.State.OPEN).values("task").distinct().count()
        told += [_opened(tasks)] if tasks else []
    for name, touched in (("datasets", reach.datasets), ("made", reach.made)):
        if touched:
            told.append(_touched(name, touched))
    return told


def _treated(proposal: Proposal, labels: AnnotationQuerySet, n: int) -> dict[str, int]:
    plan = proposal.plan
    counts = {KEEP: 0, RELABEL: 0, EXCLUDE: 0}
    spans = has_spans(proposal.parts.criteria)
    drawn = stale.remade(labels, plan=plan, has_spans=spans).count() if plan.labels == RELABEL else 0
    if plan.labels == RELABEL:
        return counts | {RELABEL: drawn, KEEP: n - drawn}
    return counts | {plan.labels: n}


def _marked(counts: dict[str, int]) -> list[Told]:
    n = sum(counts.values())
    words = ngettext("%(n)s older label becomes stale:", "%(n)s older labels become stale:", n)
    said = [_treatment(name, count) for name, count in counts.items() if count]
    return [Told("stale", f"{words % {'n': n}} {', '.join(said)}.", n)] + [
        Told(f"stale_{name}", "", count) for name, count in counts.items() if count
    ]


def _treatment(name: str, n: int) -> str:
    if name == KEEP:
        words = ngettext("%(n)s stays in use", "%(n)s stay in use", n)
    elif name == RELABEL:
        words = ngettext("%(n)s is made anew and trains nothing", "%(n)s are made anew and train nothing", n)
    else:
        words = ngettext("%(n)s trains nothing from now on", "%(n)s train nothing from now on", n)
    return words % {"n": n}


def _opened(n: int) -> Told:
    words = ngettext(
        "%(n)s task opens again for one more label. Whoever labeled a task is not given it twice: it goes "
        "to others.",
        "%(n)s tasks open again for as many more labels. Whoever labeled a task is not given it twice: they "
        "go to others.",
        n,
    )
    return Told("reopened", words % {"n": n}, n)


def _touched(name: str, touched: Sequence[blast.Touched]) -> Told:
    n = len(touched)
    names = ", ".join(one.name for one in touched[:MOST_NAMED])
    if n > MOST_NAMED:
        names = _("%(names)s and %(n)s more") % {"names": names, "n": n - MOST_NAMED}
    if name == "datasets":
        words = ngettext(
            "%(n)s frozen dataset holds such labels and stays as it is: %(names)s.",
            "%(n)s frozen datasets hold such labels and stay as they are: %(names)s.",
            n,
        )
    else:
        words = ngettext(
            "%(n)s run, round or checkpoint was made of them: %(names)s.",
            "%(n)s runs, rounds and checkpoints were made of them: %(names)s.",
            n,
        )
    return Told(name, words % {"n": n, "names": names}, n)


labels_and_tasks = Effect(name="labeling", preview=preview, apply=apply, report=report)
