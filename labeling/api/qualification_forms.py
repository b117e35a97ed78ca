"""The bodies of the doors to gold and qualification."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from labeling.api.forms import Form, PageForm, Rest
from labeling.api.task_forms import AnswerField
from labeling.models import Attempt, Task
from labeling.qualification.door import Standing
from labeling.qualification.items import USES

BIG = 2**63 - 1


class UsesField(serializers.ListField):
    def __init__(self, **options: Any) -> None:
        super().__init__(child=serializers.CharField(max_length=20), help_text=", ".join(USES), **options)


class NewGoldForm(Form):
    task = serializers.IntegerField(
        required=False, min_value=1, max_value=BIG, help_text="the task to make it of"
    )
    label = serializers.IntegerField(  # type: ignore[assignment]
        required=False, min_value=1, max_value=BIG, help_text="of the task; its consensus unless given"
    )
    kind = serializers.ChoiceField(choices=Task.Kind.choices, required=False, help_text="without a task")
    prompt = serializers.IntegerField(required=False, min_value=1, max_value=BIG, help_text="without a task")
    completions = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=BIG),
        required=False,
        help_text="ids, in order, without a task",
    )
    answer = AnswerField(required=False)
    explanation = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    uses = UsesField()

    def validate(self, asked: dict[str, object]) -> dict[str, object]:
        if "task" not in asked:
            for name in ("kind", "prompt"):
                if name not in asked:
                    raise serializers.ValidationError({name: "Name a task, or a kind and a prompt."})
        other = {"kind", "prompt", "completions"} if "task" in asked else {"label"}
        for name in other & set(asked):
            raise serializers.ValidationError({name: "Leave it out: it is not for this way to make gold."})
        return asked


class ChangeGoldForm(Form):
    explanation = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    uses = UsesField(required=False)
    retired = serializers.BooleanField(required=False, help_text="true asks it no more, for good")


class ScoreForm(Rest):
    n = serializers.IntegerField(help_text="answers")
    agreement = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class SuspectForm(Rest):
    good = serializers.IntegerField(help_text="labelers who agree with the other gold")
    agreement = serializers.FloatField(help_text="theirs with this item")
    low = serializers.FloatField()
    high = serializers.FloatField()
    elsewhere = serializers.FloatField(help_text="theirs with the other gold")


class GoldForm(Rest):
    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Task.Kind.choices)
    prompt = serializers.IntegerField()
    completions = serializers.ListField(child=serializers.IntegerField())
    answer = serializers.DictField(help_text="candidates named by their place in completions, from 0")
    explanation = serializers.CharField()
    uses = serializers.ListField(child=serializers.CharField())
    made_from = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    retired_at = serializers.DateTimeField(allow_null=True)


class ListedGoldForm(GoldForm):
    score = ScoreForm(allow_null=True)
    suspect = SuspectForm(allow_null=True)


class GoldPageForm(PageForm):
    results = ListedGoldForm(many=True)


class RequirementsForm(Form):
    # The verb says what is out of bounds.
    active = serializers.BooleanField(required=False)
    kinds = serializers.ListField(child=serializers.CharField(max_length=20), required=False)
    questions = serializers.IntegerField(required=False)
    pass_agreement = serializers.FloatField(required=False)
    demonstrations = serializers.IntegerField(required=False)
    pass_points = serializers.FloatField(required=False)
    tries = serializers.IntegerField(required=False)
    wait_hours = serializers.IntegerField(required=False)
    valid_days = serializers.IntegerField(required=False)


class DoorForm(Rest):
    standing = serializers.ChoiceField(choices=[(one.value, one.value) for one in Standing])
    says = serializers.CharField()
    questions = serializers.IntegerField()
    demonstrations = serializers.IntegerField()
    pass_agreement = serializers.FloatField()
    pass_points = serializers.FloatField()
    tries_left = serializers.IntegerField()
    again_at = serializers.DateTimeField(allow_null=True)
    attempt = serializers.IntegerField(allow_null=True, help_text="number of the newest")
    start = serializers.CharField()
    page = serializers.CharField()


class QualificationForm(RequirementsForm):
    mine = DoorForm(allow_null=True, help_text="null where nothing is asked of you")


class AttemptForm(Rest):
    number = serializers.IntegerField()
    state = serializers.ChoiceField(choices=Attempt.State.choices)
    questions = serializers.IntegerField()
    answered = serializers.IntegerField()
    agreement = serializers.FloatField(allow_null=True)
    points = serializers.FloatField(allow_null=True)
    started_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)
    valid_until = serializers.DateTimeField(allow_null=True)


class ToldForm(Rest):
    task = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Task.Kind.choices)
    agreement = serializers.FloatField(allow_null=True)
    points = serializers.IntegerField(allow_null=True)
    comment = serializers.CharField()
    said = serializers.ListField(child=serializers.DictField())
    right = serializers.ListField(child=serializers.DictField())
    explanation = serializers.CharField()


class ResultForm(AttemptForm):
    results = ToldForm(many=True, help_text="empty until the try has ended")


class ToGradeForm(Rest):
    annotation = serializers.IntegerField()
    prompt = serializers.ListField(child=serializers.DictField())
    text = serializers.CharField()
    known = serializers.CharField(help_text="an answer as it should be")
    explanation = serializers.CharField()


class ToGradeListForm(Rest):
    results = ToGradeForm(many=True)


class NewGradeForm(Form):
    annotation = serializers.IntegerField(min_value=1, max_value=BIG)
    points = serializers.IntegerField(help_text="from 1 to 7")
    comment = serializers.CharField(required=False, allow_blank=True)


class GradeForm(Rest):
    annotation = serializers.IntegerField()
    points = serializers.IntegerField()
    comment = serializers.CharField()
