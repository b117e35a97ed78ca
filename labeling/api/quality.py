"""The door to how good a project's labels are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.api.doors import Door

if TYPE_CHECKING:
    from labeling.quality import collect


class AgreementForm(serializers.Serializer[Any]):
    cut = serializers.CharField(help_text="all, kind, criterion, use case, guideline version or week")
    name = serializers.CharField()
    level = serializers.CharField()
    raw = serializers.FloatField(allow_null=True)
    alpha = serializers.FloatField(allow_null=True)
    alpha_low = serializers.FloatField(allow_null=True)
    alpha_high = serializers.FloatField(allow_null=True)
    tau_b = serializers.FloatField(allow_null=True)
    shared = serializers.IntegerField(help_text="pairs of answers, or values, that two people judged")
    says = serializers.CharField()


class QualityForm(serializers.Serializer[Any]):
    labels = serializers.IntegerField(help_text="that were read, the newest first")
    complete = serializers.BooleanField(help_text="whether these are all")
    agreement = AgreementForm(many=True)
    labelers = serializers.DictField(help_text="by id, as `manage.py reliability` has them")


class ProjectQuality(Door):
    @extend_schema(operation_id="get_quality", responses=QualityForm)
    def get(self, request: Request, slug: str) -> Response:
        """Agreement of the project's labels by part, and how far each labeler can be relied on."""
        # They bring numpy, which a web process does without.
        from labeling.quality import collect, reliability

        told = collect.collect(self.manager(slug).project)
        found = collect.reliabilities(told)
        people = (
            []
            if found is None
            else [(person, reliability.labeler(found, at)) for at, (person, _) in enumerate(told.people)]
        )
        return Response(
            {
                "labels": len(told.origins),
                "complete": not told.cut_off,
                "agreement": [_row(row) for row in collect.agreements(told)],
                "labelers": {person: figures for person, figures in people if figures["labels"]},
            }
        )


def _row(row: collect.Row) -> dict[str, Any]:
    from labeling.quality.reliability import plain

    found = row.found
    return {
        "cut": row.cut,
        "name": row.name,
        "level": found.level,
        "raw": plain(found.raw),
        "alpha": plain(found.alpha),
        "alpha_low": plain(found.low),
        "alpha_high": plain(found.high),
        "tau_b": plain(row.tau),
        "shared": found.shared,
        "says": found.says,
    }
