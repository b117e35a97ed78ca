"""The door before the next task: a guideline version that asks is read first, and what changed is shown.

A lease in hands is never taken away: the queue stops at the door, submits and drafts do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from guidelines import acknowledgements, changes
from guidelines.models import GuidelineVersion
from guidelines.parts import Parts
from labeling.models import Labeler, Lease, Project


class Unread(Exception):
    """A guideline version has to be read before the next task."""

    def __init__(self, project: Project) -> None:
        version = project.guideline.current
        self.number = version.number if version else 0
        self.slug = project.guideline.slug
        super().__init__(
            f"Version {self.number} of the guideline asks to be read before your next task. "
            "Read what changed, then say so."
        )

    @property
    def more(self) -> dict[str, Any]:
        """What a program is told besides."""
        door = f"/api/guidelines/{self.slug}/versions/{self.number}/acknowledge/"
        return {"guideline_version": {"guideline": self.slug, "number": self.number, "acknowledge": door}}


@dataclass(frozen=True)
class Changed:
    """What somebody has to read of a version."""

    version: GuidelineVersion
    since: GuidelineVersion | None
    """The newest version that they worked under or read; None for who comes anew."""
    difference: changes.Difference | None


def changed(*, version: GuidelineVersion, project: Project, labeler: Labeler) -> Changed:
    """What changed up to ``version`` since the one that ``labeler`` last worked under in the project."""
    leases = Lease.objects.filter(labeler=labeler, task__project=project).order_by("-opened_at")
    worked = leases.exclude(state=Lease.State.EXPIRED, first_action_at__isnull=True).first()
    read = acknowledgements.last_read(guideline=project.guideline, user=labeler.user_id)
    known = [read] if read else []
    if worked:
        known.append(GuidelineVersion.objects.get(pk=worked.version_read))
    since = max(known, key=lambda one: one.number, default=None)
    if since is None or since.number >= version.number:
        return Changed(version, None, None)
    return Changed(version, since, changes.difference(Parts.of(since), Parts.of(version)))
