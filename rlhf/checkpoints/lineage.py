"""Which checkpoints belong to a project: made, used or answered with there, and what those descend from."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Exists, OuterRef, Q, QuerySet

from labeling.models import Completion, Dataset, Membership, Project
from models_zoo.models import Checkpoint
from rlhf.models import Round, RoundStep, Run, RunInput


def checkpoints(project: Project) -> QuerySet[Checkpoint]:
    """A project's checkpoints, newest first, those they descend from included."""
    here = Exists(Run.objects.filter(project=project, output=OuterRef("pk")))
    used = Exists(RunInput.objects.filter(run__project=project, checkpoint=OuterRef("pk")))
    turned = Exists(
        Round.objects.filter(project=project).filter(
            Q(checkpoint_before=OuterRef("pk")) | Q(checkpoint_after=OuterRef("pk"))
        )
    )
    answered = Exists(Completion.objects.filter(prompt__project=project, checkpoint=OuterRef("pk")))
    own = Checkpoint.objects.filter(
        Q(pk=project.current_checkpoint_id) | Q(here) | Q(used) | Q(turned) | Q(answered)
    ).values_list("pk", flat=True)
    parents = dict(Checkpoint.objects.values_list("pk", "parent_id"))
    family: set[int] = set()
    for pk in own:
        at: int | None = pk
        while at is not None and at not in family:
            family.add(at)
            at = parents[at]
    return Checkpoint.objects.filter(pk__in=family)


def ancestors(checkpoint: Checkpoint) -> list[Checkpoint]:
    """What a checkpoint descends from, nearest first."""
    chain: list[Checkpoint] = []
    at = checkpoint.parent
    while at is not None and len(chain) < 50:
        chain.append(at)
        at = at.parent
    return chain


def dataset_of(run: Run) -> Dataset | None:
    """The labels behind a run: its own dataset, or the one that its round froze."""
    if run.dataset or run.round_id is None:
        return run.dataset
    frozen = (
        RoundStep.objects.filter(round=run.round_id, dataset__isnull=False).select_related("dataset").first()
    )
    return frozen.dataset if frozen else None


def memberships_of(checkpoint: Checkpoint, *, user: User | AnonymousUser) -> list[Membership]:
    """The memberships by which ``user`` may see a checkpoint: engineers' of projects it belongs to."""
    if user.is_superuser:
        projects = Project.objects.select_related("guideline")
        owned = [Membership(project=each, user_id=user.pk, role=Membership.Role.OWNER) for each in projects]
    else:
        owned = list(
            Membership.objects.filter(user_id=user.pk)
            .select_related("project__guideline")
            .order_by("project")
        )
    return [
        each
        for each in owned
        if each.runs_models and checkpoints(each.project).filter(pk=checkpoint.pk).exists()
    ]
