"""The loop as it stands now, in numbers: what the home page of a project shows, in few queries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Q
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from guidelines.models import GuidelineVersion
from labeling.datasets import dataset
from labeling.models import Annotation, Dataset, Lease, Project, Task
from rlhf.models import Loop, Metric, Round, RoundStep, Run
from rlhf.rounds import loop, sampling, summary
from rlhf.rounds.progress import Progress
from rlhf.rounds.summary import Summary, step_name
from rlhf.runs import directory

NEWEST_ROUNDS = 12
WRITING = dataset.LABELS[Dataset.Kind.DEMONSTRATIONS]
LIVE = (Run.State.QUEUED, Run.State.RUNNING)


@dataclass(frozen=True, slots=True)
class Training:
    """The run that trains now, else the one that trained last, with its newest metrics and its progress."""

    run: Run
    metric: dict[str, Any]
    progress: dict[str, Any]

    @property
    def is_live(self) -> bool:
        return self.run.state in LIVE


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything the stations say. Labels counted are those that stand; ``gathering`` is their round.

    Rankings are all that sets answers against each other, demonstrations all that is written, edits too.
    """

    project: Project
    settings: Loop
    guideline: GuidelineVersion | None
    open_rankings: int
    open_demonstrations: int
    people: int
    rankings: int
    demonstrations: int
    imported: int
    last_hour: int
    under_older: int
    dataset: Dataset | None
    training: Training | None
    rounds: list[Summary]
    gathering: Round
    progress: Progress

    @property
    def open_tasks(self) -> int:
        return self.open_rankings + self.open_demonstrations

    @property
    def last(self) -> Summary | None:
        """The newest round that was started: it trains, was stopped or is done."""
        return next((each for each in self.rounds if each.round.state != Round.State.LABELING), None)

    @property
    def finished(self) -> Summary | None:
        """The newest round that made a checkpoint."""
        return next((each for each in self.rounds if each.round.checkpoint_after_id), None)

    @property
    def undecided(self) -> Summary | None:
        """The newest finished round whose checkpoint waits to be promoted or refused."""
        last = self.finished
        return last if last and last.round.decision == Round.Decision.NONE else None

    @property
    def promoted(self) -> Summary | None:
        """The round whose checkpoint is the current one."""
        current = self.project.current_checkpoint_id
        return next(
            (each for each in self.rounds if current and each.round.checkpoint_after_id == current), None
        )

    @property
    def agreement(self) -> summary.Agreement | None:
        """Of the newest reward model."""
        return next((each.agreement for each in self.rounds if each.agreement), None)


@dataclass(frozen=True, slots=True)
class Says:
    """What limits the model now and what to do about it; ``tone`` is "", "warn" or "bad".

    ``command`` does it, where no button of a page does.
    """

    title: str
    text: str = ""
    tone: str = ""
    command: str = ""


def read(project: Project) -> Picture:
    """Take the picture. The number of queries does not depend on how many labels or rounds there are."""
    guideline = project.guideline.current
    tasks = (
        Task.objects.open()
        .filter(project=project)
        .aggregate(
            rankings=Count("pk", filter=Q(kind__in=sampling.RANKING)),
            demonstrations=Count("pk", filter=Q(kind__in=WRITING)),
        )
    )
    # An import has no lease: it is nobody's reading of a guideline, and no work of this hour.
    by_people = Q(lease__isnull=False)
    labels = (
        Annotation.objects.valid()
        .filter(task__project=project, task__gold__isnull=True)
        .aggregate(
            rankings=Count("pk", filter=Q(kind__in=sampling.RANKING)),
            demonstrations=Count("pk", filter=by_people & Q(kind__in=WRITING)),
            imported=Count("pk", filter=~by_people),
            hour=Count("pk", filter=by_people & Q(submitted_at__gte=timezone.now() - timedelta(hours=1))),
            older=Count("pk", filter=by_people & ~Q(guideline_version=guideline)),
        )
    )
    people = Lease.objects.filter(
        task__project=project, state=Lease.State.OPEN, expires_at__gte=timezone.now()
    ).aggregate(n=Count("labeler", distinct=True))
    rounds = summary.of_project(project, most=NEWEST_ROUNDS)
    labeling = [each.round for each in rounds if each.round.state == Round.State.LABELING]
    gathering = labeling[-1] if labeling else loop.current_round(project)
    return Picture(
        project=project,
        settings=sampling.loop_of(project),
        guideline=guideline,
        open_rankings=tasks["rankings"],
        open_demonstrations=tasks["demonstrations"],
        people=people["n"],
        rankings=labels["rankings"],
        demonstrations=labels["demonstrations"],
        imported=labels["imported"],
        last_hour=labels["hour"],
        under_older=labels["older"],
        dataset=Dataset.objects.filter(project=project).first(),
        training=_training(project),
        rounds=rounds,
        gathering=gathering,
        progress=loop.progress(gathering),
    )


def _training(project: Project) -> Training | None:
    newest = list(Run.objects.filter(project=project).defer("config")[:8])
    live = [run for run in newest if run.state in LIVE]
    trained = [run for run in newest if run.algorithm != "sample"]
    run = next(iter(live or trained or newest), None)
    if run is None:
        return None
    metric = Metric.objects.filter(run=run, superseded=False).order_by("-n").values_list("values", flat=True)
    return Training(
        run=run, metric=metric.first() or {}, progress=directory.read(run.directory, "progress.json")
    )


def hindrance(picture: Picture) -> str:
    """Why the next round cannot be started now, in a sentence; empty when it can."""
    if picture.last and picture.last.round.state == Round.State.TRAINING:
        return _("Round %(n)s is training.") % {"n": picture.last.round.number}
    return "" if picture.progress.due else missing(picture)


def missing(picture: Picture) -> str:
    """How many labels the round still wants, as a sentence."""
    n = max(picture.progress.target - picture.progress.labels, 0)
    if picture.gathering.kind == Round.Kind.PREFERENCES:
        return ngettext("%(n)s more ranking to go.", "%(n)s more rankings to go.", n) % {"n": n}
    text = ngettext("%(n)s more demonstration to go.", "%(n)s more demonstrations to go.", n)
    return text % {"n": n}


def limits(picture: Picture) -> Says:
    """Say what limits the model now, or what is to be done next."""
    return (picture.last and _of_last(picture, picture.last)) or _of_labels(picture)


def _of_last(picture: Picture, last: Summary) -> Says | None:
    """What the round that was started last asks for, if anything."""
    turn, step = last.round, last.current
    if turn.state == Round.State.TRAINING:
        at = _("Step %(at)s of %(of)s: %(step)s.") % {
            "at": min(last.steps_done + 1, len(last.steps)),
            "of": len(last.steps),
            "step": step_name(step.name) if step else _("finishing"),
        }
        return Says(
            _("Round %(n)s is training.") % {"n": turn.number}, f"{at} " + _("Labeling goes on meanwhile.")
        )
    if turn.state == Round.State.STOPPED:
        if step and step.state == RoundStep.State.FAILED:
            return _of_failure(turn, step)
        return Says(_("Round %(n)s was held back.") % {"n": turn.number}, turn.reason, "warn")
    if turn.checkpoint_after_id and turn.decision == Round.Decision.NONE:
        return Says(
            _("Round %(n)s made a new checkpoint: promote it or refuse it.") % {"n": turn.number},
            _("Read before and after below. Until then the former checkpoint stays the current one."),
        )
    return None


def _of_failure(turn: Round, step: RoundStep) -> Says:
    """A step failed, or somebody stopped or has resumed its run."""
    values = {"n": turn.number, "step": step_name(step.name)}
    state = step.run.state if step.run else Run.State.FAILED
    if state in LIVE:
        text = _("Its run was resumed; the steps after it follow by themselves.")
        return Says(_("Round %(n)s goes on: %(step)s.") % values, text)
    reason = capfirst(turn.reason or step.detail)
    if state == Run.State.STOPPED:
        return Says(_("Round %(n)s was stopped: %(step)s.") % values, reason, "warn")
    return Says(_("Round %(n)s failed: %(step)s.") % values, reason, "bad")


def _of_labels(picture: Picture) -> Says:
    """What the labels that are gathered now ask for."""
    values = {
        "labels": picture.progress.labels,
        "target": picture.progress.target,
        "n": picture.gathering.number,
    }
    if picture.progress.due:
        return Says(
            _("Round %(n)s is due.") % values, _("%(labels)s of %(target)s labels are in: run it.") % values
        )
    if picture.project.paused:
        return Says(
            _("What limits the model now: the project is paused."), _("No tasks are handed out."), "warn"
        )
    if not picture.open_tasks:
        title = _("What limits the model now: no task is open.")
        text = _("Import prompts, so that there is something to label.")
        command = f"python manage.py import_prompts --project {picture.project.slug} --file prompts.jsonl"
        # Rankings are sampled from the prompts; only writing is asked for by the import itself.
        writes = picture.gathering.kind == Round.Kind.DEMONSTRATIONS
        return Says(title, text, "warn", command=command + " --tasks" * writes)
    counted = _("%(labels)s of %(target)s labels for round %(n)s are in.") % values
    return Says(
        _("What limits the model now: labels."),
        " ".join(filter(None, [counted, _agreed(picture.agreement)])),
    )


def _agreed(found: summary.Agreement | None) -> str:
    if found is None or found.low is None or found.high is None:
        return ""
    return _(
        "The newest reward model orders %(share).0f %% of held-out pairs as people did "
        "(90 %% interval %(low).0f–%(high).0f %%)."
    ) % {"share": found.share * 100, "low": found.low * 100, "high": found.high * 100}
