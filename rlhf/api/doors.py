"""Doors to runs, rounds and checkpoints, for those who run models."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.api.doors import Door, Newest
from labeling.models import Dataset, Project
from labeling.problems import register_conflict
from models_zoo.models import Checkpoint
from rlhf.api import forms
from rlhf.checkpoints import lineage
from rlhf.models import Round, Run
from rlhf.rounds import loop, sampling
from rlhf.runs import directory, jobs, transcript

register_conflict(jobs.NotNow, "not-now")
register_conflict(loop.NotNow, "not-now")

METRICS_AT_ONCE = 5_000
PAGING = [OpenApiParameter("cursor", str), OpenApiParameter("page_size", int)]


class NewestRuns(Newest):
    ordering = "-created_at"


class RunDoor(Door):
    """A door to one run, or to a project's."""

    pagination_class = NewestRuns

    def run(self, run_id: UUID) -> Run:
        """The run, for engineers of its project; 404 where the project is not theirs to see."""
        run = _runs().get(pk=run_id)
        if run.project is None:
            if not self.user.is_superuser:
                raise Http404
        else:
            self.engineer(run.project.slug)
        return run


class Runs(RunDoor):
    @extend_schema(operation_id="list_runs", parameters=PAGING, responses=forms.RunPageForm)
    def get(self, request: Request, slug: str) -> Response:
        """The project's runs, newest first."""
        project = self.engineer(slug).project
        page = self.page(_runs().filter(project=project))
        page.data["results"] = [_run(one) for one in page.data["results"]]
        return page

    @extend_schema(operation_id="create_run", request=forms.NewRunForm, responses={201: forms.RunForm})
    def post(self, request: Request, slug: str) -> Response:
        """Start a run outside the rounds, on a frozen dataset or, to answer prompts, on the project's."""
        project, asked = self.engineer(slug).project, self.read(forms.NewRunForm)
        own = {each.name: each for each in lineage.checkpoints(project)}
        if unknown := sorted(set(asked["inputs"].values()) - set(own)):
            raise jobs.RunError("inputs", f"The project has no checkpoint {unknown[0]!r}.")
        dataset = rows = None
        if "dataset" in asked:
            dataset = Dataset.objects.get(project=project, number=asked["dataset"])
        elif asked["algorithm"] in ("ppo", "sample"):
            rows = sampling.rows_for(sampling.training_prompts(project).order_by("pk")[: asked["prompts"]])
        run = jobs.create_run(
            project=project,
            algorithm=asked["algorithm"],
            inputs={role: own[name] for role, name in asked["inputs"].items()},
            knobs=asked.get("knobs"),
            seed=asked["seed"],
            dataset=dataset,
            rows=rows,
            user=self.user,
        )
        jobs.enqueue(run)
        return Response(_run(run), status=201)


class OneRun(RunDoor):
    @extend_schema(operation_id="get_run", responses=forms.RunForm)
    def get(self, request: Request, run_id: UUID) -> Response:
        """The run: state, knobs, inputs, output, result."""
        return Response(_run(self.run(run_id)))


class RunMetrics(RunDoor):
    @extend_schema(operation_id="list_metrics", parameters=[forms.SinceForm], responses=forms.MetricListForm)
    def get(self, request: Request, run_id: UUID) -> Response:
        """Metrics numbered above `since`, in order; a line with `superseded_from` takes older ones back."""
        run, since = self.run(run_id), self.query(forms.SinceForm).get("since", -1)
        found = run.metrics.filter(n__gt=since).order_by("n")
        rows = found.values_list("n", "step", "superseded", "values")[:METRICS_AT_ONCE]
        metrics = [
            {**values, "n": n, "step": step, "superseded": superseded} for n, step, superseded, values in rows
        ]
        return Response({"metrics": metrics, "state": run.state, "progress": _progress(run)})


class RunRollouts(RunDoor):
    @extend_schema(operation_id="list_rollouts", parameters=[forms.StepForm], responses=forms.RolloutListForm)
    def get(self, request: Request, run_id: UUID) -> Response:
        """Answers sampled at a step of PPO, of the newest where none is named."""
        asked = self.query(forms.StepForm)
        rows = transcript.rollouts(self.run(run_id).directory, step=asked.get("step"), most=asked["most"])
        return Response({"rollouts": rows})


class RunStop(RunDoor):
    @extend_schema(operation_id="stop_run", request=None, responses=forms.RunForm)
    def post(self, request: Request, run_id: UUID) -> Response:
        """Ask the run to stop; it writes a checkpoint first and can be resumed."""
        return Response(_run(jobs.stop(self.run(run_id), user=self.user)))


class RunResume(RunDoor):
    @extend_schema(operation_id="resume_run", request=None, responses=forms.RunForm)
    def post(self, request: Request, run_id: UUID) -> Response:
        """Go on with a stopped or failed run from its newest checkpoint."""
        return Response(_run(jobs.resume(self.run(run_id), user=self.user)))


class RoundDoor(Door):
    """A door to one round."""

    def round(self, round_id: int) -> Round:
        """The round, for engineers of its project; 404 where the project is not theirs to see."""
        round = _rounds().get(pk=round_id, project__in=Project.objects.visible_to(self.user))
        self.engineer(round.project.slug)
        return round


class Rounds(RoundDoor):
    @extend_schema(operation_id="list_rounds", parameters=PAGING, responses=forms.RoundPageForm)
    def get(self, request: Request, slug: str) -> Response:
        """The project's rounds, newest first."""
        page = self.page(_rounds().filter(project=self.engineer(slug).project))
        page.data["results"] = [_round(one) for one in page.data["results"]]
        return page

    @extend_schema(operation_id="open_round", request=forms.NewRoundForm, responses={201: forms.RoundForm})
    def post(self, request: Request, slug: str) -> Response:
        """Open the next round, or change the kind and target of the one that gathers labels."""
        project, asked = self.engineer(slug).project, self.read(forms.NewRoundForm)
        round = loop.open_round(project=project, **asked)
        return Response(_round(_rounds().get(pk=round.pk)), status=201)


class OneRound(RoundDoor):
    @extend_schema(operation_id="get_round", responses=forms.RoundForm)
    def get(self, request: Request, round_id: int) -> Response:
        """The round with its steps."""
        return Response(_round(self.round(round_id)))


class RoundStart(RoundDoor):
    @extend_schema(operation_id="start_round", request=forms.StartForm, responses=forms.RoundForm)
    def post(self, request: Request, round_id: int) -> Response:
        """Train on the labels there are; with `force` also on a weak reward model."""
        round, asked = self.round(round_id), self.read(forms.StartForm)
        loop.start(round, user=self.user, **asked)
        return Response(_round(self.round(round_id)))


class RoundRestart(RoundDoor):
    @extend_schema(operation_id="restart_round", request=forms.RestartForm, responses=forms.RoundForm)
    def post(self, request: Request, round_id: int) -> Response:
        """Do a step and all after it again, by default from the first that is not done."""
        round, asked = self.round(round_id), self.read(forms.RestartForm)
        loop.restart(round, **asked)
        return Response(_round(self.round(round_id)))


class RoundPromote(RoundDoor):
    @extend_schema(operation_id="promote_round", request=forms.ReasonForm, responses=forms.RoundForm)
    def post(self, request: Request, round_id: int) -> Response:
        """Make the round's checkpoint the project's current one, by hand."""
        loop.promote(self.round(round_id), self.user, **self.read(forms.ReasonForm))
        return Response(_round(self.round(round_id)))


class RoundRefuse(RoundDoor):
    @extend_schema(operation_id="refuse_round", request=forms.ReasonForm, responses=forms.RoundForm)
    def post(self, request: Request, round_id: int) -> Response:
        """Keep the current checkpoint."""
        loop.refuse(self.round(round_id), self.user, **self.read(forms.ReasonForm))
        return Response(_round(self.round(round_id)))


class Checkpoints(Door):
    @extend_schema(operation_id="list_checkpoints", parameters=PAGING, responses=forms.CheckpointPageForm)
    def get(self, request: Request) -> Response:
        """The checkpoints of the projects that one runs models in, newest first."""
        page = self.page(Checkpoint.objects.select_related("parent").filter(pk__in=self._visible()))
        page.data["results"] = [_checkpoint(one) for one in page.data["results"]]
        return page

    def _visible(self) -> set[int]:
        projects = Project.objects.visible_to(self.user)
        own = [one for one in projects if self.member(one.slug).runs_models]
        return {pk for one in own for pk in lineage.checkpoints(one).values_list("pk", flat=True)}


class OneCheckpoint(Door):
    @extend_schema(operation_id="get_checkpoint", responses=forms.CheckpointForm)
    def get(self, request: Request, checkpoint_id: int) -> Response:
        """The checkpoint: kind, parent, digest and what its training measured."""
        found = Checkpoint.objects.select_related("parent").get(pk=checkpoint_id)
        if not lineage.memberships_of(found, user=self.user):
            raise Http404
        return Response(_checkpoint(found))


def _runs() -> Any:
    related = ("project", "round", "dataset", "output")
    return Run.objects.select_related(*related).prefetch_related("inputs__checkpoint")


def _rounds() -> Any:
    related = ("project", "checkpoint_before", "checkpoint_after", "guideline_version")
    return Round.objects.select_related(*related).prefetch_related("steps__dataset")


def _run(run: Run) -> dict[str, Any]:
    used = {each.role: _ref(each.checkpoint) for each in run.inputs.all()}
    return {
        "id": run.pk,
        "project": run.project and run.project.slug,
        "round": run.round and run.round.number,
        "algorithm": run.algorithm,
        "state": run.state,
        "knobs": run.config.get("knobs", {}),
        "seed": run.config.get("seed"),
        "inputs": used,
        "dataset": run.dataset and run.dataset.number,
        "output": _ref(run.output),
        "result": run.result,
        "error": run.error,
        "attempts": run.attempts,
        "cpu_seconds": run.cpu_seconds,
        "progress": _progress(run),
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
    }


def _round(round: Round) -> dict[str, Any]:
    progress = loop.progress(round)
    return {
        "id": round.pk,
        "project": round.project.slug,
        "number": round.number,
        "kind": round.kind,
        "state": round.state,
        "labels": progress.labels,
        "label_target": round.label_target,
        "open_tasks": progress.open_tasks,
        "due": progress.due and round.state == Round.State.LABELING,
        "forced": round.forced,
        "guideline_version": round.guideline_version and round.guideline_version.number,
        "checkpoint_before": _ref(round.checkpoint_before),
        "checkpoint_after": _ref(round.checkpoint_after),
        "decision": round.decision,
        "gated": round.gated,
        "reason": round.reason,
        "steps": [
            {
                "name": step.name,
                "state": step.state,
                "run": step.run_id,
                "dataset": step.dataset and step.dataset.number,
                "detail": step.detail,
                "started_at": step.started_at,
                "finished_at": step.finished_at,
            }
            for step in round.steps.all()
        ],
        "created_at": round.created_at,
        "started_at": round.started_at,
        "finished_at": round.finished_at,
    }


def _checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "id": checkpoint.pk,
        "name": checkpoint.name,
        "kind": checkpoint.kind,
        "parent": _ref(checkpoint.parent),
        "digest": checkpoint.digest,
        "licence": checkpoint.licence,
        "figures": checkpoint.figures,
        "created_at": checkpoint.created_at,
    }


def _ref(checkpoint: Checkpoint | None) -> dict[str, Any] | None:
    return {"id": checkpoint.pk, "name": checkpoint.name} if checkpoint else None


def _progress(run: Run) -> dict[str, Any] | None:
    return directory.read(run.directory, "progress.json") or None
