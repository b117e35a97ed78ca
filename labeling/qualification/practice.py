"""Practice: gold items that anybody may do at any time, explained right after. It qualifies nobody.

Time on practice is time at work, so it stands in the ledger like any other; nothing else comes of it.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import Count, Q, QuerySet

from labeling import fit, queue
from labeling.models import GoldItem, GoldLabel, Labeler, Lease, Project
from labeling.qualification import copies


def items(*, project: Project, labeler: Labeler) -> int:
    """How many items there are to practise on for ``labeler``."""
    return _pool(project, labeler.avoids_sensitive).count()


def lease_next(*, project: Project, labeler: Labeler) -> Lease | None:
    """What to practise on next: the item begun, else one done least often; None where there is none."""
    with transaction.atomic():
        fits = fit.lock(labeler, project)
        mine = Lease.objects.filter(
            labeler=labeler,
            state=Lease.State.OPEN,
            task__project=project,
            task__gold__use=GoldLabel.Use.PRACTICE,
        )
        if lease := mine.select_for_update(of=("self",), no_key=True).order_by("opened_at").first():
            return queue.renew(lease_id=lease.pk, labeler=labeler)
        left = copies.waiting(labeler=labeler).filter(project=project, gold__use=GoldLabel.Use.PRACTICE)
        task = left.order_by("pk").first()
        if task is None:
            done = Count("gold_labels", filter=Q(gold_labels__labeler=labeler))
            pool = _pool(project, fits.avoids_sensitive).select_related("project__guideline", "prompt")
            item = pool.annotate(done=done).order_by("done", "?").first()
            if item is None:
                return None
            task = copies.make(item=item, labeler=labeler, use=GoldLabel.Use.PRACTICE)
        return queue.hand_out(copies.claim(task), labeler=labeler, project=project)


def _pool(project: Project, avoids_sensitive: bool) -> QuerySet[GoldItem]:
    pool = GoldItem.objects.live().filter(project=project, practice=True)
    return pool.filter(prompt__sensitive=False) if avoids_sensitive else pool
