"""Doors to frozen datasets: freeze, look, and download in TRL's schemas."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.api import forms
from labeling.api.doors import Door
from labeling.datasets import dataset as datasets
from labeling.datasets import formats
from labeling.models import Dataset, Project
from labeling.people import audit


class Datasets(Door):
    @extend_schema(
        operation_id="list_datasets",
        parameters=[OpenApiParameter("cursor", str), OpenApiParameter("page_size", int)],
        responses=forms.DatasetPageForm,
    )
    def get(self, request: Request, slug: str) -> Response:
        """The project's datasets, newest first."""
        found = Dataset.objects.select_related("project").filter(project=self.member(slug).project_id)
        page = self.page(found)
        page.data["results"] = [_described(one) for one in page.data["results"]]
        return page

    @extend_schema(
        operation_id="freeze_dataset", request=forms.FreezeForm, responses={201: forms.DatasetForm}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Freeze what there is now: labels that may train, or prompts."""
        project = self.engineer(slug).project
        frozen = datasets.freeze(project=project, user=self.user, **self.read(forms.FreezeForm))
        return Response(_described(frozen), status=201)


class OneDataset(Door):
    @extend_schema(operation_id="get_dataset", responses=forms.DatasetForm)
    def get(self, request: Request, dataset_id: int) -> Response:
        """What was frozen, when, and by what filter."""
        return Response(_described(_found(self.user, dataset_id)))


class DatasetExport(Door):
    @extend_schema(
        operation_id="export_dataset",
        parameters=[forms.ExportQueryForm],
        responses={(200, media_type): OpenApiTypes.BINARY for media_type in formats.FORMATS.values()},
    )
    def get(self, request: Request, dataset_id: int) -> StreamingHttpResponse:
        """The dataset as a file, streamed. Owners, admins and engineers only."""
        dataset = _found(self.user, dataset_id)
        self.engineer(dataset.project.slug)
        asked = self.query(forms.ExportQueryForm)
        form = asked.get("form") or datasets.FORMS[Dataset.Kind(dataset.kind)][0]
        audit.record(
            actor=self.user,
            action="dataset.export",
            target=f"dataset {dataset.number} ({dataset.kind})",
            project=dataset.project,
            form=form,
            format=asked["format"],
            size=dataset.size,
        )
        pieces = formats.encode(datasets.rows(dataset, form), form=form, format=asked["format"])
        name = f"{dataset.project.slug}-{dataset.number}-{form}.{asked['format']}"
        return StreamingHttpResponse(
            pieces,
            content_type=formats.FORMATS[asked["format"]],
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )


def _found(user: User, dataset_id: int) -> Dataset:
    visible = Project.objects.visible_to(user)
    return Dataset.objects.select_related("project").get(pk=dataset_id, project__in=visible)


def _described(dataset: Dataset) -> dict[str, Any]:
    return {
        "id": dataset.pk,
        "project": dataset.project.slug,
        "number": dataset.number,
        "kind": dataset.kind,
        "filter": dataset.filter,
        "size": dataset.size,
        "digest": dataset.digest,
        "forms": datasets.FORMS[Dataset.Kind(dataset.kind)],
        "frozen_at": dataset.frozen_at,
    }
