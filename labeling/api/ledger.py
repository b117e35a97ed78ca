"""Doors to the ledger of time, and to its corrections."""

from __future__ import annotations

from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.api import project_forms
from labeling.api.doors import Door
from labeling.models import Labeler
from labeling.people import ledger


class ProjectLedger(Door):
    @extend_schema(
        operation_id="get_ledger",
        parameters=[project_forms.LedgerQueryForm],
        responses={(200, "application/json"): project_forms.LedgerForm, (200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, slug: str) -> HttpResponse | StreamingHttpResponse:
        """Who did what on which day, for pay. Owners and admins see everybody, others themselves."""
        membership, asked = self.member(slug), self.query(project_forms.LedgerQueryForm)
        found = ledger.ledger(
            project=membership.project,
            since=asked.get("from"),
            until=asked.get("to"),
            labeler=None if membership.manages else self.labeler,
        )
        if asked["format"] == "csv":
            name = f"{found.project.slug}-{found.since}-{found.until}.csv"
            return StreamingHttpResponse(
                ledger.as_csv(found.rows),
                content_type="text/csv; charset=utf-8",
                headers={"Content-Disposition": f'attachment; filename="{name}"'},
            )
        return Response(
            {
                "from": found.since,
                "to": found.until,
                "rows": [row.as_dict() for row in found.rows],
                "totals": [row.as_dict() for row in found.totals],
                "total": found.total.as_dict(),
            }
        )


class TimeCorrections(Door):
    @extend_schema(
        operation_id="correct_time",
        request=project_forms.TimeCorrectionForm,
        responses={201: project_forms.TimeCorrectedForm},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Add time to a labeler's day, or take some off, with a reason that they read."""
        project, asked = self.manager(slug).project, self.read(project_forms.TimeCorrectionForm)
        labeler = Labeler.objects.get(pk=asked.pop("labeler"))
        made = ledger.correct(project=project, labeler=labeler, actor=self.user, **asked)
        body = {"id": made.pk, "labeler": labeler.pk, "day": made.day, "seconds": made.seconds}
        return Response({**body, "reason": made.reason, "at": made.created_at}, status=201)
