"""Doors to what came in: the imports of a project, what one touches, out of use and back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.api.doors import Door
from labeling.api.forms import Form, PageForm, Rest
from labeling.api.project_forms import RefusalForm
from labeling.incoming import preview, withdrawal
from labeling.models import Import
from labeling.problems import register_conflict

register_conflict(withdrawal.Withdrawn, "import-withdrawn")


class ImportForm(Rest):
    id = serializers.IntegerField()
    kind = serializers.CharField(help_text=", ".join(Import.Kind.values))
    source = serializers.CharField()  # type: ignore[assignment]
    synthetic = serializers.BooleanField()
    accepted = serializers.IntegerField()
    refused = serializers.IntegerField(help_text="rows that were refused")
    user = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    withdrawn_at = serializers.DateTimeField(allow_null=True)


class ImportPageForm(PageForm):
    results = ImportForm(many=True)


class TouchedForm(Rest):
    kind = serializers.CharField()
    name = serializers.CharField()
    address = serializers.CharField()
    # "label" is a word of the framework's, "labels" is not.
    labels = serializers.IntegerField(allow_null=True)


class RadiusForm(Rest):
    labels = serializers.IntegerField()
    tasks = serializers.IntegerField()
    labelers = serializers.IntegerField()
    datasets = TouchedForm(many=True)
    made = TouchedForm(many=True, help_text="runs, rounds and checkpoints made of those datasets")


class ReachForm(Rest):
    prompts = serializers.IntegerField()
    open_tasks = serializers.IntegerField()
    in_hand = serializers.IntegerField(help_text="of those, tasks that somebody holds")
    radius = RadiusForm()


class OneImportForm(ImportForm):
    rows_refused = RefusalForm(many=True)
    reach = ReachForm(help_text="what a withdrawal touches")


class WithdrawForm(Form):
    reason = serializers.CharField(required=False, allow_blank=True, help_text="for the audit log")


class Imports(Door):
    @extend_schema(
        operation_id="list_imports",
        parameters=[OpenApiParameter("cursor", str), OpenApiParameter("page_size", int)],
        responses=ImportPageForm,
    )
    def get(self, request: Request, slug: str) -> Response:
        """What came into the project, newest first. Owners and admins only."""
        page = self.page(Import.objects.filter(project=self.manager(slug).project).select_related("user"))
        page.data["results"] = [_described(one) for one in page.data["results"]]
        return page


class ImportDoor(Door):
    """A door to one import of a project that one manages."""

    def batch(self, slug: str, import_id: int) -> Import:
        return Import.objects.select_related("project", "user").get(
            project=self.manager(slug).project, pk=import_id
        )


class OneImport(ImportDoor):
    @extend_schema(operation_id="get_import", responses=OneImportForm)
    def get(self, request: Request, slug: str, import_id: int) -> Response:
        """An import with its refused rows, and what withdrawing it would touch."""
        batch = self.batch(slug, import_id)
        body = {"rows_refused": batch.refused, "reach": asdict(withdrawal.reach(batch))}
        return Response({**_described(batch), **body})


class ImportWithdraw(ImportDoor):
    @extend_schema(operation_id="withdraw_import", request=WithdrawForm, responses=ImportForm)
    def post(self, request: Request, slug: str, import_id: int) -> Response:
        """Take an import out of use: its prompts are asked about no longer, labels on them train nothing."""
        batch = self.batch(slug, import_id)
        return Response(
            _described(withdrawal.withdraw(batch=batch, actor=self.user, **self.read(WithdrawForm)))
        )


class ImportRestore(ImportDoor):
    @extend_schema(operation_id="restore_import", request=None, responses=ImportForm)
    def post(self, request: Request, slug: str, import_id: int) -> Response:
        """Bring a withdrawn import back, with the tasks that were open."""
        return Response(_described(withdrawal.restore(batch=self.batch(slug, import_id), actor=self.user)))


def _described(batch: Import) -> dict[str, Any]:
    return {
        "id": batch.pk,
        "kind": batch.kind,
        "source": batch.source,
        "synthetic": batch.synthetic,
        "accepted": batch.accepted,
        "refused": preview.refused(batch),
        "user": batch.user and batch.user.get_username(),
        "created_at": batch.created_at,
        "withdrawn_at": batch.withdrawn_at,
    }
