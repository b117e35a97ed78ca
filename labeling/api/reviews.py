"""Doors for the author of a label: look at it again, hear what a reviewer said, appeal."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.api import task_forms
from labeling.api.doors import Door
from labeling.models import Annotation, Project
from labeling.reviewing import reviews
from labeling.sheets import sheet


class OneAnnotation(Door):
    @extend_schema(operation_id="get_annotation", responses=task_forms.OwnLabelForm)
    def get(self, request: Request, annotation_id: int) -> Response:
        """A label of one's own with its task as it was shown: what a revision begins from."""
        own = Annotation.objects.select_related("lease", "superseded_by", "invalidation")
        label = own.get(
            pk=annotation_id,
            labeler=self.labeler,
            lease__isnull=False,
            task__project__in=Project.objects.visible_to(self.user),
        )
        assert label.lease is not None
        outcome = reviews.outcomes([label.pk]).get(label.pk)
        revision, invalidation = getattr(label, "superseded_by", None), getattr(label, "invalidation", None)
        return Response(
            {
                "id": label.pk,
                "answer": label.answer,
                "submitted_at": label.submitted_at,
                "revised_by": revision and revision.pk,
                "invalidated": invalidation and invalidation.reason,
                "review": outcome and outcome.as_dict(),
                "task": sheet(label.lease),
            }
        )


class AnnotationAppeal(Door):
    @extend_schema(
        operation_id="appeal", request=task_forms.AppealForm, responses={201: task_forms.AppealedForm}
    )
    def post(self, request: Request, annotation_id: int) -> Response:
        """Ask another reviewer about a label that was sent back; what they say is final."""
        text = self.read(task_forms.AppealForm)["text"]
        made = reviews.appeal(annotation_id=annotation_id, labeler=self.labeler, text=text)
        return Response({"annotation": annotation_id, "text": made.text, "at": made.created_at}, status=201)


class SentBack(Door):
    @extend_schema(operation_id="list_sent_back", responses=task_forms.SentBackListForm)
    def get(self, request: Request) -> Response:
        """One's own labels that a reviewer sent back and that wait for a revision, with their appeals."""
        found = reviews.sent_back_to(self.labeler, projects=Project.objects.visible_to(self.user))
        return Response(
            {
                "results": [
                    {
                        "annotation": one.annotation_id,
                        "project": one.annotation.task.project.slug,
                        "task": one.annotation.task_id,
                        "kind": one.annotation.kind,
                        **reviews.outcome(one).as_dict(),
                    }
                    for one in found
                ]
            }
        )
