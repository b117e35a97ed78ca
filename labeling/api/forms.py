"""The bodies of the API: those that come in are checked here, those that go out are for the schema.

What several doors share is here, with the smaller doors' own.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from guidelines import parts
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


class ExampleForm(Rest):
    prompt = serializers.CharField(required=False)
    answer = serializers.CharField()
    verdict = serializers.ChoiceField(choices=parts.VERDICTS)
    reason = serializers.CharField()


@extend_schema_field(ExampleForm(many=True))
class ExamplesField(UncheckedField):
    """Examples, which `guidelines.parts` checks."""


@extend_schema_field(serializers.ListField(child=serializers.CharField()))
class RulesField(UncheckedField):
    """Trade-off rules, which `guidelines.parts` checks."""


class PartsForm(Form):
    body = serializers.CharField(
        required=False, allow_blank=True, trim_whitespace=False, help_text="Markdown; needed without a preset"
    )
    criteria = CriteriaField(required=False, help_text="those of the newest version unless given")
    examples = ExamplesField(required=False, help_text="good and bad answers with the reason; as criteria")
    rules = RulesField(required=False, help_text="what goes before what, first rule first; as criteria")
    note = serializers.CharField(required=False, allow_blank=True, help_text="what changed, in one sentence")


class PublishForm(PartsForm):
    preset = serializers.CharField(
        required=False,
        help_text="criteria by name: instructgpt, hh_rlhf; without a body its text, examples and rules too",
    )
    based_on = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=2**31 - 1,
        help_text="the version this was written upon, 0 for none",
    )
    # The verb says what is out of bounds.
    change = serializers.CharField(
        required=False,
        allow_blank=True,
        help_text="typo, wording, example, criterion or rule; guessed unless given",
    )
    asks = UncheckedField(
        required=False, help_text="true: whoever works reads what changed before their next task"
    )
    labels = serializers.CharField(
        required=False,
        help_text="what becomes of labels it makes stale: keep (unless given), relabel, exclude",
    )
    share = UncheckedField(required=False, help_text="of them to relabel, 1 unless given")
    seed = UncheckedField(
        required=False, help_text="draws the share; drawn itself, and recorded, unless given"
    )

    def validate(self, asked: dict[str, Any]) -> dict[str, Any]:
        if "criteria" in asked and "preset" in asked:
            raise serializers.ValidationError({"preset": "Give criteria or a preset, not both."})
        if "body" not in asked and "preset" not in asked:
            raise serializers.ValidationError({"body": "This field is required."})
        return asked


class EffectForm(Rest):
    name = serializers.CharField()
    sentence = serializers.CharField(help_text="empty where another sentence says it")
    count = serializers.IntegerField()


class PreviewedForm(Rest):
    number = serializers.IntegerField(help_text="of the version that it would be")
    change = serializers.CharField(help_text="as given, or guessed")
    least_change = serializers.CharField(help_text="the least that it may be called")
    seed = serializers.IntegerField(help_text="give it when publishing: the same labels are drawn")
    effects = EffectForm(many=True)


class GuidelineDraftForm(Form):
    body = serializers.CharField(allow_blank=True, trim_whitespace=False)
    criteria = UncheckedField(required=False, help_text="half-written ones too")
    examples = UncheckedField(required=False)
    rules = UncheckedField(required=False)
    note = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    based_on = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=0)
    version = serializers.IntegerField(
        min_value=0, max_value=2**31 - 1, help_text="of the draft that this was written upon, 0 for the first"
    )


class SavedGuidelineDraftForm(Rest):
    version = serializers.IntegerField()
    saved_at = serializers.DateTimeField()


class AcknowledgedForm(Rest):
    guideline = serializers.SlugField()
    number = serializers.IntegerField()
    at = serializers.DateTimeField()


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
