"""Doors to the work: the next task, its lease and draft, labels and what becomes of them."""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from labeling import annotate, queue
from labeling.api import task_forms
from labeling.api.doors import Door
from labeling.models import Annotation, Membership, Project
from labeling.people import audit
from labeling.people.access import kinds_for
from labeling.reviewing import reviews
from labeling.sheets import seconds_left, sheet
from labeling.writing import conversations


class Next(Door):
    @extend_schema(
        operation_id="lease_next",
        request=task_forms.NextForm,
        responses={200: task_forms.TaskForm, 204: None},
    )
    def post(self, request: Request, slug: str) -> Response:
        """The task to work on next: the open one, else a new lease. 204 where nothing waits.

        409 with `qualification` where the project asks you to qualify first: POST to its `start`.
        """
        asked = self.read(task_forms.NextForm)
        membership = self.member(slug)
        kinds = kinds_for(membership, asked.pop("kinds", None))
        lease = queue.lease_next(labeler=self.labeler, project=membership.project, kinds=kinds, **asked)
        return Response(status=204) if lease is None else Response(sheet(lease))


class OneLease(Door):
    @extend_schema(operation_id="get_task", responses=task_forms.TaskForm)
    def get(self, request: Request, lease_id: UUID) -> Response:
        """The task of a lease of one's own as it is now, whatever became of the lease."""
        return Response(sheet(queue.found(lease_id=lease_id, labeler=self.labeler)))


class LeaseDraft(Door):
    @extend_schema(
        operation_id="save_draft", request=task_forms.DraftForm, responses=task_forms.SavedDraftForm
    )
    def put(self, request: Request, lease_id: UUID) -> Response:
        """Keep unfinished work. 409 with `stored: {answer, version}` where another tab saved since."""
        draft = annotate.save_draft(
            lease_id=lease_id, labeler=self.labeler, **self.read(task_forms.DraftForm)
        )
        return Response({"version": draft.version, "saved_at": draft.updated_at})


class LeaseHeartbeat(Door):
    @extend_schema(
        operation_id="renew_lease", request=task_forms.HeartbeatForm, responses=task_forms.RenewedForm
    )
    def post(self, request: Request, lease_id: UUID) -> Response:
        """Keep the lease alive. 409 where it ran out and the task is full."""
        lease = queue.renew(lease_id=lease_id, labeler=self.labeler, **self.read(task_forms.HeartbeatForm))
        return Response({"expires_at": lease.expires_at, "expires_in": seconds_left(lease)})


class LeaseSkip(Door):
    @extend_schema(operation_id="skip_task", request=task_forms.SkipForm, responses={204: None})
    def post(self, request: Request, lease_id: UUID) -> Response:
        """Give the task to somebody else; it never counts against you and never comes back to you."""
        queue.skip(lease_id=lease_id, labeler=self.labeler, **self.read(task_forms.SkipForm))
        return Response(status=204)


class LeaseSubmit(Door):
    @extend_schema(
        operation_id="submit_answer",
        request=task_forms.SubmitForm,
        responses={201: task_forms.SubmittedForm, 200: task_forms.SubmittedForm},
    )
    def post(self, request: Request, lease_id: UUID) -> Response:
        """Store the answer as a label: 201, or 200 where this `submission_id` stored it before."""
        sent = self.read(task_forms.SubmitForm)
        return _stored(annotate.submit(lease_id=lease_id, labeler=self.labeler, **sent))


class AnnotationRevise(Door):
    @extend_schema(
        operation_id="revise_annotation",
        request=task_forms.ReviseForm,
        responses={201: task_forms.SubmittedForm, 200: task_forms.SubmittedForm},
    )
    def post(self, request: Request, annotation_id: int) -> Response:
        """Put a new version in the place of a label of one's own; the old one is kept."""
        sent = self.read(task_forms.ReviseForm)
        return _stored(annotate.revise(annotation_id=annotation_id, labeler=self.labeler, **sent))


class AnnotationContinue(Door):
    @extend_schema(operation_id="continue_conversation", request=None, responses=task_forms.TaskForm)
    def post(self, request: Request, annotation_id: int) -> Response:
        """Lease the task that follows a turn of one's own. 409 with the reason where a limit is reached."""
        return Response(sheet(conversations.go_on(annotation_id=annotation_id, labeler=self.labeler)))


class AnnotationBranch(Door):
    @extend_schema(operation_id="branch_conversation", request=None, responses=task_forms.TaskForm)
    def post(self, request: Request, annotation_id: int) -> Response:
        """Lease the place of one's own turn once more, for a second, different one. 409 as for continue."""
        return Response(sheet(conversations.branch(annotation_id=annotation_id, labeler=self.labeler)))


class AnnotationInvalidate(Door):
    @extend_schema(
        operation_id="invalidate_annotation",
        request=task_forms.InvalidateForm,
        responses={201: task_forms.InvalidatedForm},
    )
    def post(self, request: Request, annotation_id: int) -> Response:
        """Take a label out of use, with a reason; its task asks for another. Owners and admins only."""
        visible = Project.objects.visible_to(self.user)
        label = Annotation.objects.select_related("task__project").get(
            pk=annotation_id, task__project__in=visible
        )
        self.manager(label.task.project.slug)
        reason = self.read(task_forms.InvalidateForm)["reason"]
        with transaction.atomic():
            gone = annotate.invalidate(annotation=label, actor=self.user, reason=reason)
            audit.record(
                actor=self.user,
                action="label.invalidate",
                target=f"label {label.pk}",
                project=label.task.project,
                task=label.task_id,
                reason=gone.reason,
            )
        return Response({"annotation": label.pk, "reason": gone.reason, "at": gone.created_at}, status=201)


class Annotations(Door):
    @extend_schema(
        operation_id="list_annotations",
        parameters=[
            task_forms.WhoseForm,
            OpenApiParameter("cursor", str),
            OpenApiParameter("page_size", int),
        ],
        responses=task_forms.AnnotationPageForm,
    )
    def get(self, request: Request, slug: str) -> Response:
        """Labels, newest first; with `mine=1` one's own, which is all that a labeler may see."""
        membership = self.member(slug)
        mine = self.query(task_forms.WhoseForm)["mine"]
        if not mine and membership.role == Membership.Role.LABELER:
            raise PermissionDenied("Labelers see their own labels only. Add mine=1.")
        labels = Annotation.objects.filter(task__project=membership.project_id)
        if mine:
            labels = labels.filter(labeler=self.labeler)
        page = self.page(
            labels.values(
                "id",
                "submission_id",
                "kind",
                "answer",
                "shown_order",
                "surplus",
                "submitted_at",
                "task",
                "labeler",
                "supersedes",
                guideline=F("guideline_version__number"),
                revised_by=F("superseded_by"),
                invalidated=F("invalidation__reason"),
            )
        )
        outcomes = reviews.outcomes(row["id"] for row in page.data["results"])
        for row in page.data["results"]:
            outcome = outcomes.get(row["id"])
            row["review"] = outcome and outcome.as_dict()
        return page


def _stored(label: Annotation) -> Response:
    body = {
        "id": label.pk,
        "submission_id": label.submission_id,
        "task": label.task_id,
        "surplus": label.surplus,
        "submitted_at": label.submitted_at,
        **({"qualification": label.attempt.state} if label.attempt else {}),
    }
    return Response(body, status=200 if label.repeated else 201)
