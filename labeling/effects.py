"""What publishing a guideline version does to tasks and labels; `labeling.apps` registers it.

New tasks use the new version; open tasks that nobody has begun are re-issued at it. A task that somebody
holds, has begun or has labeled keeps the version of its beginning, so that its labels compare and a late one
names what was read. Labels keep theirs, and a review goes by the version of the labels it judges.
"""

from __future__ import annotations

from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from guidelines.models import Guideline, GuidelineVersion
from guidelines.publish import Effect
from labeling import live
from labeling.models import Annotation, Lease, Project, Task, TaskQuerySet


def preview(guideline: Guideline) -> list[str]:
    """Return one sentence for each thing that publishing would do now, with its count."""
    waiting = untouched(guideline).count()
    held = (
        Task.objects.filter(project__guideline=guideline, leases__state=Lease.State.OPEN).distinct().count()
    )
    labels = Annotation.objects.valid().filter(guideline_version__guideline=guideline).count()
    sentences = [_("New tasks show the new version."), _reissued(waiting)]
    if held:
        sentences.append(
            ngettext(
                "%(n)s task in somebody's hands keeps the version it was opened at.",
                "%(n)s tasks in somebody's hands keep the version they were opened at.",
                held,
            )
            % {"n": held}
        )
    if labels:
        sentences.append(
            ngettext(
                "%(n)s label keeps the version it was made under, and stays in use.",
                "%(n)s labels keep the versions they were made under, and stay in use.",
                labels,
            )
            % {"n": labels}
        )
    return sentences


def apply(version: GuidelineVersion) -> list[str]:
    """Re-issue the tasks that nobody has begun and tell the browsers, in the publisher's transaction."""
    moved = untouched(version.guideline).update(guideline_version=version)
    for project in Project.objects.filter(guideline=version.guideline).order_by("pk"):
        live.announce(project=project, event="guideline", version=version.number)
    return [_reissued(moved)]


def untouched(guideline: Guideline) -> TaskQuerySet:
    """Open tasks that nobody holds or has labeled, by the counter on the task's own row, nor left half done.

    A rival's lease locks that row; Postgres then looks at the counter again, so that a task is never
    re-issued under the hands of somebody who just opened it.
    """
    unsettled = [Lease.State.OPEN, Lease.State.EXPIRED]
    begun = Lease.objects.filter(task=OuterRef("pk"), state__in=unsettled, first_action_at__isnull=False)
    tasks = Task.objects.open().exclude(kind=Task.Kind.REVIEW)
    return tasks.filter(~Exists(begun), project__guideline=guideline, taken=0)


def _reissued(n: int) -> str:
    if not n:
        return _("No waiting task needs to be re-issued.")
    return ngettext(
        "%(n)s open task that nobody has begun is re-issued at the new version.",
        "%(n)s open tasks that nobody has begun are re-issued at the new version.",
        n,
    ) % {"n": n}


labels_and_tasks = Effect(name="labeling", preview=preview, apply=apply)
