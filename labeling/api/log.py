"""The door to a project's audit log."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from labeling.api.doors import Door
from labeling.api.forms import PageForm, Rest
from labeling.people import audit


class LogQueryForm(serializers.Serializer[Any]):
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # "from" is a word of Python's.
        return {
            "actor": serializers.CharField(
                default="", help_text='a user name or its beginning; "platform" for the platform itself'
            ),
            "action": serializers.CharField(default="", help_text='or its beginning: "membership"'),
            "text": serializers.CharField(default="", help_text="found in what it was done to"),
            "from": serializers.DateField(required=False),
            "to": serializers.DateField(required=False, help_text="the last day, included"),
            "format": serializers.ChoiceField(choices=["json", "csv"], default="json"),
        }


class EntryForm(Rest):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    actor = serializers.CharField(help_text="a user name; empty where the platform did it itself")
    action = serializers.CharField(help_text='noun and verb: "membership.pause"')
    target = serializers.CharField()
    detail = serializers.DictField(help_text="what changed as changes: {name: [old, new]}")


class LogPageForm(PageForm):
    results = EntryForm(many=True)


class ProjectLog(Door):
    @extend_schema(
        operation_id="list_log",
        parameters=[LogQueryForm, OpenApiParameter("cursor", str), OpenApiParameter("page_size", int)],
        responses={(200, "application/json"): LogPageForm, (200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, slug: str) -> HttpResponse | StreamingHttpResponse:
        """Who did what to what in the project, newest first. Owners and admins only."""
        project, asked = self.manager(slug).project, self.query(LogQueryForm)
        form = asked.pop("format")
        days = {"since": asked.pop("from", None), "until": asked.pop("to", None)}
        found = audit.entries(project=project, search=audit.Search(**asked, **days))
        if form == "csv":
            return log_file(found, name=f"{project.slug}-log.csv")
        page = self.page(found)
        page.data["results"] = [audit.described(one) for one in page.data["results"]]
        return page


def log_file(found: Any, *, name: str) -> StreamingHttpResponse:
    """The entries as a file to keep, streamed."""
    return StreamingHttpResponse(
        audit.as_csv(found),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
