"""Who read which version: a version that asks is read by whoever works, before their next task.

Having read a version counts for all before it. So a later one that asks for nothing, as a typo does, lets
nobody past an earlier one that they have not read.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef

from guidelines.models import Acknowledgement, Guideline, GuidelineVersion

# For queries of those who hand out work: whether %(user)s has a version of %(guideline)s still to read.
UNREAD = """
    exists (select from guidelines_guidelineversion asking
            where asking.guideline_id = %(guideline)s and asking.asks and not exists (
                select from guidelines_acknowledgement said
                join guidelines_guidelineversion read on read.id = said.version_id
                where said.user_id = %(user)s and read.guideline_id = asking.guideline_id
                  and read.number >= asking.number))
"""


def acknowledge(*, version: GuidelineVersion, user: Any) -> Acknowledgement:
    """Keep that ``user`` says to have read ``version``; saying it twice is saying it once."""
    said, _ = Acknowledgement.objects.get_or_create(version=version, user=user)
    return said


def owed(*, guideline: Guideline, user: Any) -> GuidelineVersion | None:
    """The newest version, where ``user`` has to read it before going on; None where they may go on."""
    read = Acknowledgement.objects.filter(
        user=user, version__guideline=guideline, version__number__gte=OuterRef("number")
    )
    waiting = guideline.versions.filter(~Exists(read), asks=True)
    return guideline.current if waiting.exists() else None


def last_read(*, guideline: Guideline, user: Any) -> GuidelineVersion | None:
    """The newest version that ``user`` says to have read."""
    read = guideline.versions.filter(acknowledgements__user=user)
    return read.order_by("-number").first()
