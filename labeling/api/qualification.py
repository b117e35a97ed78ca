"""Doors to gold and qualification: items, what is asked, tries and their results, grades, practice."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.api import qualification_forms as forms
from labeling.api import task_forms
from labeling.api.doors import Door
from labeling.models import Attempt, GoldItem, GoldLabel, Prompt, Task
from labeling.people.access import reviewer_of
from labeling.qualification import attempts, door, grades, items, practice, requirements, results, scores
from labeling.sheets import sheet

MOST_LISTED = 100


class Gold(Door):
    @extend_schema(
        operation_id="list_gold",
        parameters=[OpenApiParameter("cursor", str), OpenApiParameter("page_size", int)],
        responses=forms.GoldPageForm,
    )
    def get(self, request: Request, slug: str) -> Response:
        """Gold items, newest first, with how far labelers agree with each. Owners and admins only."""
        project = self.manager(slug).project
        page = self.page(GoldItem.objects.filter(project=project))
        agreed, doubted = scores.of_items(project=project), scores.suspect_items(project=project)
        page.data["results"] = [
            _described(one) | {"score": agreed.get(one.pk), "suspect": doubted.get(one.pk)}
            for one in page.data["results"]
        ]
        for row in page.data["results"]:
            row["score"] = row["score"] and vars(row["score"])
            row["suspect"] = row["suspect"] and vars(row["suspect"])
        return page

    @extend_schema(operation_id="add_gold", request=forms.NewGoldForm, responses={201: forms.GoldForm})
    def post(self, request: Request, slug: str) -> Response:
        """Make a gold item of a task, or of a prompt and answers to it. Owners and admins only."""
        project, sent = self.manager(slug).project, self.read(forms.NewGoldForm)
        if task_id := sent.pop("task", None):
            task = Task.objects.select_related("project__guideline", "prompt").get(
                pk=task_id, project=project
            )
            item = items.add_from_task(task=task, actor=self.user, **sent)
        else:
            prompt = Prompt.objects.get(pk=sent.pop("prompt"), project=project)
            item = items.add(project=project, prompt=prompt, actor=self.user, **{"answer": None} | sent)
        return Response(_described(item), status=201)


class OneGold(Door):
    @extend_schema(operation_id="change_gold", request=forms.ChangeGoldForm, responses=forms.GoldForm)
    def patch(self, request: Request, slug: str, item_id: int) -> Response:
        """Say anew what an item is for and why; or retire it. Owners and admins only."""
        project, sent = self.manager(slug).project, self.read(forms.ChangeGoldForm)
        item = GoldItem.objects.select_related("project").get(pk=item_id, project=project)
        if "uses" in sent or "explanation" in sent:
            said = {"uses": item.uses, "explanation": item.explanation} | sent
            said.pop("retired", None)
            item = items.change(item=item, actor=self.user, **said)
        if sent.get("retired"):
            item = items.retire(item=item, actor=self.user)
        return Response(_described(item))


class ProjectQualification(Door):
    @extend_schema(operation_id="get_qualification", responses=forms.QualificationForm)
    def get(self, request: Request, slug: str) -> Response:
        """What is asked of labelers before they work, and how you stand yourself."""
        project = self.member(slug).project
        found = door.of(project=project, labeler=self.labeler)
        asked = requirements.stated(requirements.of(project))
        return Response({**asked, "mine": found and found.as_dict()})

    @extend_schema(
        operation_id="change_qualification",
        request=forms.RequirementsForm,
        responses=forms.RequirementsForm,
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Set what is asked, and switch it on or off with `active`. Owners and admins only."""
        project = self.manager(slug).project
        sent = self.read(forms.RequirementsForm)
        return Response(requirements.stated(requirements.change(project=project, actor=self.user, **sent)))


class Attempts(Door):
    @extend_schema(operation_id="start_attempt", request=None, responses={201: forms.AttemptForm})
    def post(self, request: Request, slug: str) -> Response:
        """Begin to qualify; the questions then come by `next`. 409 where you may not, with when you may."""
        attempt = attempts.start(project=self.member(slug).project, labeler=self.labeler)
        return Response(_attempt(attempt), status=201)


class OneAttempt(Door):
    @extend_schema(operation_id="get_attempt", responses=forms.ResultForm)
    def get(self, request: Request, slug: str, number: int) -> Response:
        """A try of your own; once it has ended, what you said, what is right and why."""
        project = self.member(slug).project
        attempt = Attempt.objects.get(project=project, labeler=self.labeler, number=number)
        ended = attempt.closed_at is not None
        told = [one.as_dict() for one in results.of_attempt(attempt)] if ended else []
        return Response({**_attempt(attempt), "results": told})


class Grading(Door):
    @extend_schema(operation_id="list_to_grade", responses=forms.ToGradeListForm)
    def get(self, request: Request, slug: str) -> Response:
        """What people wrote to qualify and nobody graded yet. Reviewers, admins and owners only."""
        project = reviewer_of(user=self.user, slug=slug).project
        found = grades.waiting(project=project, grader=self.user)[:MOST_LISTED]
        rows = [
            {
                "annotation": one.annotation_id,
                "prompt": one.annotation.task.prompt.messages,
                "text": one.annotation.answer["text"],
                "known": one.item.answer["text"],
                "explanation": one.item.explanation,
            }
            for one in found
        ]
        return Response({"results": rows})

    @extend_schema(operation_id="grade", request=forms.NewGradeForm, responses={201: forms.GradeForm})
    def post(self, request: Request, slug: str) -> Response:
        """Give a text its points. Reviewers, admins and owners only."""
        project = reviewer_of(user=self.user, slug=slug).project
        sent = self.read(forms.NewGradeForm)
        made = grades.grade(annotation_id=sent.pop("annotation"), project=project, grader=self.user, **sent)
        return Response(
            {"annotation": made.annotation_id, "points": made.points, "comment": made.comment}, status=201
        )


class PracticeNext(Door):
    @extend_schema(
        operation_id="practise_next", request=None, responses={200: task_forms.TaskForm, 204: None}
    )
    def post(self, request: Request, slug: str) -> Response:
        """A task to practise on; its answer is explained right after. 204 where there is none."""
        lease = practice.lease_next(project=self.member(slug).project, labeler=self.labeler)
        return Response(status=204) if lease is None else Response(sheet(lease))


class Practised(Door):
    @extend_schema(operation_id="get_practised", responses=forms.ToldForm)
    def get(self, request: Request, slug: str, annotation_id: int) -> Response:
        """What is right in a practice task of your own that you sent, and why."""
        project = self.member(slug).project
        own = GoldLabel.objects.filter(
            annotation=annotation_id,
            item__project=project,
            labeler=self.labeler,
            use=GoldLabel.Use.PRACTICE,
        )
        for one in results.told(own):
            return Response(one.as_dict())
        raise Http404


def _described(item: GoldItem) -> dict[str, Any]:
    return {
        "id": item.pk,
        "kind": item.kind,
        "prompt": item.prompt_id,
        "completions": item.completions,
        "answer": item.answer,
        "explanation": item.explanation,
        "uses": item.uses,
        "made_from": item.made_from_id,
        "created_at": item.created_at,
        "retired_at": item.retired_at,
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    answered, questions = attempts.progress(attempt)
    return {
        "number": attempt.number,
        "state": attempt.state,
        "questions": questions,
        "answered": answered,
        "agreement": attempt.agreement,
        "points": attempt.points,
        "started_at": attempt.started_at,
        "closed_at": attempt.closed_at,
        "valid_until": attempt.valid_until,
    }
