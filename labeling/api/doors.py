"""What every view of the API shares: who asks, what they may do, how bodies are checked, lists and schema."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, cast

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import OrjsonParser
from labeling.models import Labeler, Membership
from labeling.people.access import manager_of, membership_of
from labeling.people.projects import labeler_for
from labeling.problems import MEDIA_TYPE


class FieldErrorForm(serializers.Serializer[Any]):
    field = serializers.CharField()
    message = serializers.CharField()


class ProblemForm(serializers.Serializer[Any]):
    """A failure, as RFC 9457 has it."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = FieldErrorForm(many=True, required=False)  # type: ignore[assignment]


class JsonOnly(BaseContentNegotiation):
    """Answer in JSON whatever is asked for: a browser that opens an address here shall see what there is."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        given = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == given), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


class DoorSchema(AutoSchema):
    """Adds to every operation what a failure looks like."""

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> dict[str, Any]:
        bodies = super()._get_response_bodies(direction)
        problem = self._get_response_for_code(ProblemForm, "default", [MEDIA_TYPE], direction)
        return {**bodies, "default": {**problem, "description": "A problem document."}}


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = "labeling.people.tokens.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token …`, made at /account/tokens/.",
        }


class Newest(CursorPagination):
    """Newest first, by a cursor that holds still while rows are added."""

    ordering = "-id"
    page_size = 50
    max_page_size = 500
    page_size_query_param = "page_size"

    def decode_cursor(self, request: Request) -> Cursor | None:
        cursor: Cursor | None = super().decode_cursor(request)
        # Rows are ordered by their number; the framework hands on whatever the address holds.
        if cursor and cursor.position is not None and not str(cursor.position).isdecimal():
            raise NotFound(self.invalid_cursor_message)
        return cursor


class Door(APIView):
    """A view of the API. Its methods read, call one verb and answer."""

    content_negotiation_class = JsonOnly
    parser_classes = [OrjsonParser]
    pagination_class = Newest
    schema = DoorSchema()

    @property
    def user(self) -> User:
        return cast(User, self.request.user)

    @property
    def labeler(self) -> Labeler:
        return labeler_for(self.user)

    def read(self, form: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """The request's body, checked by ``form``."""
        checked = form(data=self.request.data)
        checked.is_valid(raise_exception=True)
        return checked.validated_data

    def query(self, form: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """The address's query, checked by ``form``."""
        checked = form(data=self.request.query_params.dict())
        checked.is_valid(raise_exception=True)
        return checked.validated_data

    def member(self, slug: str) -> Membership:
        """The asker's membership of the project; 404 where there is none."""
        return membership_of(user=self.user, slug=slug)

    def manager(self, slug: str) -> Membership:
        """As `member`; 403 unless an owner or admin."""
        return manager_of(user=self.user, slug=slug)

    def engineer(self, slug: str) -> Membership:
        """As `member`; 403 unless an owner, admin or engineer."""
        membership = self.member(slug)
        if not membership.runs_models:
            raise PermissionDenied("Only an owner, admin or engineer of the project may do this.")
        return membership

    def page(self, rows: Any) -> Response:
        """One page of a queryset's rows, newest first: ``{"next", "previous", "results"}``."""
        paginator = self.pagination_class()
        found: list[Any] = paginator.paginate_queryset(rows, self.request, view=self) or []
        return paginator.get_paginated_response(found)
