"""The bodies of the API: those that come in are checked here, those that go out are for the schema.

What several doors share is here, with the smaller doors' own.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from labeling.datasets import formats
from labeling.models import Dataset


class Form(serializers.Serializer[Any]):
    """A body that may hold no other fields: a misspelt one is told, not passed over."""

    def to_internal_value(self, data: Any) -> Any:
        checked = super().to_internal_value(data)
        if unknown := sorted(set(data) - set(self.fields)):
            known = ", ".join(self.fields)
            raise serializers.ValidationError({unknown[0]: f"There is no such field. There are: {known}."})
        return checked


class Rest(serializers.Serializer[Any]):
    """What goes out; never used to check, nor to write on the busy paths."""


class UncheckedField(serializers.JSONField):
    """JSON for a verb to check; JSONField's own check recurses as deep as the sender likes."""

    def to_internal_value(self, data: Any) -> Any:
        return data


class CriterionForm(Rest):
    # "label" and "required" are words of the framework's.
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        of_a_scale = "scales only"
        return {
            "key": serializers.CharField(help_text="names it in answers"),
            "label": serializers.CharField(),
            "help": serializers.CharField(required=False),
            "scope": serializers.ChoiceField(choices=["completion", "prompt"]),
            "type": serializers.ChoiceField(choices=["scale", "flag", "span"]),
            "required": serializers.BooleanField(),
            "min": serializers.IntegerField(required=False, help_text=of_a_scale),
            "max": serializers.IntegerField(required=False, help_text=of_a_scale),
            "low": serializers.CharField(required=False, help_text="words for the least; scales only"),
            "high": serializers.CharField(required=False, help_text="words for the most; scales only"),
        }


@extend_schema_field(CriterionForm(many=True))
class CriteriaField(UncheckedField):
    """Criteria, which `guidelines.criteria` checks."""


class KeysForm(Form):
    single_keys = serializers.BooleanField(required=False, help_text="false: only keys with Ctrl act")
    keys = serializers.DictField(
        child=serializers.CharField(trim_whitespace=False, max_length=20),
        required=False,
        help_text='{"u": "z"}: the delivered key, by its browser\'s name, and the chosen one',
    )


class ReadingForm(Form):
    shows_sensitive = serializers.BooleanField(required=False, help_text="uncovered from the start")
    avoids_sensitive = serializers.BooleanField(required=False, help_text="not given at all")


class PublishForm(Form):
    body = serializers.CharField(allow_blank=True, trim_whitespace=False, help_text="Markdown")
    criteria = CriteriaField(required=False, help_text="those of the newest version unless given")
    preset = serializers.CharField(required=False, help_text="criteria by name instead: instructgpt")
    note = serializers.CharField(required=False, allow_blank=True, help_text="what changed, in one sentence")
    based_on = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=2**31 - 1,
        help_text="the version this was written upon, 0 for none",
    )

    def validate(self, asked: dict[str, Any]) -> dict[str, Any]:
        if "criteria" in asked and "preset" in asked:
            raise serializers.ValidationError({"preset": "Give criteria or a preset, not both."})
        return asked


class FreezeForm(Form):
    kind = serializers.ChoiceField(choices=Dataset.Kind.choices)
    filter = serializers.DictField(required=False)


class ExportQueryForm(serializers.Serializer[Any]):
    form = serializers.ChoiceField(choices=list(formats.FORMS), required=False)
    format = serializers.ChoiceField(choices=["jsonl", "parquet"], default="jsonl")


class VersionForm(Rest):
    id = serializers.IntegerField()
    guideline = serializers.SlugField()
    number = serializers.IntegerField()


class PublishedForm(VersionForm):
    effects = serializers.ListField(
        child=serializers.CharField(), help_text="what publishing did to the work under way, in sentences"
    )


class PageForm(Rest):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class CheckpointRefForm(Rest):
    id = serializers.IntegerField()
    name = serializers.CharField()


class DatasetForm(Rest):
    id = serializers.IntegerField()
    project = serializers.SlugField()
    number = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Dataset.Kind.choices)
    filter = serializers.DictField()
    size = serializers.IntegerField()
    digest = serializers.CharField(help_text="sha256 of its JSONL export in the first of its forms")
    forms = serializers.ListField(child=serializers.CharField())
    frozen_at = serializers.DateTimeField()


class DatasetPageForm(PageForm):
    results = DatasetForm(many=True)
