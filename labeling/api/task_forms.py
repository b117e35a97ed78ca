"""The bodies of the doors to the work: tasks and their leases, labels, talks and reviews."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from labeling.api.forms import CriterionForm, Form, PageForm, Rest, UncheckedField, VersionForm
from labeling.models import Attempt, Reply, Task
from labeling.reviewing.reviews import State

LONGEST_ACTIVITY = 24 * 3600


ANSWERS = """By the kind of task, each with a "comment" where there is one:

- demonstrate, edit: `{"text": "…"}`
- rank: `{"tiers": [[candidate id, …], …], "all_bad"?: true}`
- compare: `{"preferred": candidate id or null, "strength": …, "both_bad"?: true}`,
  the strength being "much", "better", "slightly" or "tie", which prefers null
- converse: `{"turns": [{"said", "reply": number, "chosen": 0 or 1, "strength", "both_bad"?}, …]}`
- prompt: `{"text": "…"}`, or few-shot `{"instruction", "examples": [{"input", "output"}, …], "input"}`
- mark: `{"marks": [{"start", "end", "criterion", "comment"?}, …]}`, ends in code points of the answer's text
- rate: `{"ratings": {"<candidate id>": {"<key>": value}}, "prompt": {"<key>": value}, "tiers"?: …}`
"""


@extend_schema_field({"type": "object", "additionalProperties": True})
class AnswerField(UncheckedField):
    """An answer in the form of the task's kind; `labeling.answers` says what that is and checks it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, help_text=ANSWERS)


class ActiveSecondsField(serializers.FloatField):
    def __init__(self, **options: Any) -> None:
        words = "time with activity on this task so far, in seconds"
        super().__init__(**options, required=False, min_value=0, max_value=LONGEST_ACTIVITY, help_text=words)


class NextForm(Form):
    kinds = serializers.ListField(
        child=serializers.ChoiceField(choices=Task.Kind.choices), required=False, allow_empty=False
    )
    prefetch = serializers.BooleanField(required=False, help_text="a further task, two open at most")


class DraftForm(Form):
    answer = AnswerField()
    version = serializers.IntegerField(min_value=0, max_value=2**31 - 2, help_text="0 for the first draft")


class HeartbeatForm(Form):
    active_seconds = ActiveSecondsField()


class SkipForm(Form):
    reason = serializers.CharField(required=False, allow_blank=True, max_length=300)


class SubmitForm(Form):
    submission_id = serializers.UUIDField(help_text="made by the client; a repeat with it is harmless")
    answer = AnswerField()
    active_seconds = ActiveSecondsField()


class ReviseForm(Form):
    submission_id = serializers.UUIDField()
    answer = AnswerField()
    active_seconds = ActiveSecondsField()


class InvalidateForm(Form):
    reason = serializers.CharField(max_length=500)


class WhoseForm(serializers.Serializer[Any]):
    mine = serializers.BooleanField(default=False)


class AppealForm(Form):
    text = serializers.CharField(trim_whitespace=False, help_text="why the label should stand")


class MessageForm(Rest):
    role = serializers.ChoiceField(choices=["system", "user", "assistant", "tool"])
    content = UncheckedField(
        help_text='text, or parts {"type": "text", "text"} and {"type": "image", "sha256", "media_type", …}'
    )
    tool_calls = serializers.ListField(child=serializers.DictField(), required=False)
    tool_call_id = serializers.CharField(required=False)
    html = serializers.CharField(
        help_text="the content as it is to be read, sanitised; a tool's result stands in its call's"
    )


class SayForm(Form):
    text = serializers.CharField(
        trim_whitespace=False, allow_blank=True, help_text="what you say to the model"
    )
    turns = UncheckedField(help_text="the turns so far, each with its choice, as in a talk's answer")


class ReadForm(Rest):
    text = serializers.CharField()
    html = serializers.CharField(
        allow_null=True, help_text="as it is to be read, sanitised; null until whole"
    )


class ReplyForm(Rest):
    number = serializers.IntegerField(help_text="names it in turns")
    state = serializers.ChoiceField(choices=Reply.State.choices)
    said = ReadForm(help_text="what it answers")
    texts = ReadForm(
        many=True, help_text="the answers as far as they are said, in the order for this labeler"
    )
    fault = serializers.CharField(help_text="why it failed")
    quiet_seconds = serializers.FloatField(help_text="since the last sign of whoever answers it")
    busy = serializers.BooleanField(help_text="somebody answers for the model, though others come first")


class LimitsForm(Rest):
    turns = serializers.IntegerField()
    characters = serializers.IntegerField(help_text="of one message")


class CandidateForm(Rest):
    id = serializers.IntegerField()
    text = serializers.CharField()
    html = serializers.CharField(help_text="the text as it is to be read, sanitised")


class StoredDraftForm(Rest):
    answer = AnswerField()
    version = serializers.IntegerField()


class ReviewedForm(Rest):
    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Task.Kind.choices)


class JudgedForm(Rest):
    id = serializers.IntegerField()
    name = serializers.CharField(help_text="a letter in the author's place")
    earlier = serializers.IntegerField(allow_null=True, help_text="the label that it revises")
    comment = serializers.CharField()
    parts = serializers.ListField(
        child=serializers.DictField(), help_text="the answer in words, as `reviewing.readings` has them"
    )
    sent_back = serializers.CharField(required=False, help_text="appeals only: the first reviewer's reason")
    appeal = serializers.CharField(required=False, help_text="appeals only: why the author disagrees")


class DifferForm(Rest):
    pairs = serializers.ListField(child=serializers.DictField(), help_text="answers ordered differently")
    values = serializers.ListField(  # type: ignore[assignment]
        child=serializers.DictField(), help_text="criteria rated differently"
    )


class TaskForm(Rest):
    id = serializers.IntegerField()
    lease = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=Task.Kind.choices)
    prompt = MessageForm(many=True)
    candidates = CandidateForm(
        many=True, help_text="in the order for this labeler; empty for a demonstration"
    )
    pictures = serializers.ListField(child=serializers.CharField(), help_text="where the prompt's are served")
    brief = serializers.DictField(help_text='what to write or talk about: {"form"?, "text"?}')
    sensitive = serializers.BooleanField(help_text="to be blurred until asked for")
    offers = serializers.ListField(
        child=serializers.ChoiceField(choices=["continue", "branch"]),
        help_text="what its author may ask for once the turn is written",
    )
    criteria = CriterionForm(many=True, help_text="of the guideline version, for a rating")
    partial = serializers.BooleanField(  # type: ignore[assignment]
        help_text="whether a ranking may leave candidates out"
    )
    guideline_version = VersionForm()
    replies = ReplyForm(many=True, required=False, help_text="talks and drafts: what the model said so far")
    somebody = serializers.BooleanField(required=False, help_text="talks only: a checkpoint is current")
    limits = LimitsForm(required=False, help_text="talks only")
    drafts = serializers.BooleanField(
        required=False, help_text="demonstrations only: the model may be asked for a draft"
    )
    draft = StoredDraftForm(allow_null=True)
    expires_at = serializers.DateTimeField()
    expires_in = serializers.FloatField(help_text="seconds from now")
    opened_at = serializers.DateTimeField()
    reviewed = ReviewedForm(required=False, help_text="reviews only: the task whose labels are judged")
    labels = JudgedForm(required=False, many=True, help_text="reviews only: the labels to judge")
    differ = DifferForm(required=False, help_text="reviews only: where those labels differ")


class SavedDraftForm(Rest):
    version = serializers.IntegerField()
    saved_at = serializers.DateTimeField()


class RenewedForm(Rest):
    expires_at = serializers.DateTimeField()
    expires_in = serializers.FloatField(help_text="seconds from now")


class SubmittedForm(Rest):
    id = serializers.IntegerField()
    submission_id = serializers.UUIDField()
    task = serializers.IntegerField()
    surplus = serializers.BooleanField(help_text="the task wanted no more labels when it came")
    submitted_at = serializers.DateTimeField()
    qualification = serializers.ChoiceField(
        choices=Attempt.State.choices,
        required=False,
        help_text="what a try has come to, where this answers one of its questions",
    )


class InvalidatedForm(Rest):
    annotation = serializers.IntegerField()
    reason = serializers.CharField()
    at = serializers.DateTimeField()


class OutcomeForm(Rest):
    state = serializers.ChoiceField(choices=[(state.value, state.value) for state in State])
    reason = serializers.CharField()
    decided_at = serializers.DateTimeField()
    appeal = serializers.CharField(allow_null=True)
    appealed_at = serializers.DateTimeField(allow_null=True)
    answer = serializers.CharField(allow_null=True, help_text="what the second reviewer said")
    answered_at = serializers.DateTimeField(allow_null=True)


class AnnotationForm(Rest):
    id = serializers.IntegerField()
    submission_id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=Task.Kind.choices)
    answer = AnswerField()
    shown_order = serializers.ListField(child=serializers.IntegerField())
    surplus = serializers.BooleanField()
    submitted_at = serializers.DateTimeField()
    task = serializers.IntegerField()
    labeler = serializers.UUIDField()
    supersedes = serializers.IntegerField(allow_null=True)
    guideline = serializers.IntegerField(help_text="number of the guideline version it was made under")
    revised_by = serializers.IntegerField(allow_null=True)
    invalidated = serializers.CharField(allow_null=True, help_text="the reason, where it was invalidated")
    review = OutcomeForm(allow_null=True, help_text="what a reviewer decided, and what came of an appeal")


class OwnLabelForm(Rest):
    id = serializers.IntegerField()
    answer = AnswerField()
    submitted_at = serializers.DateTimeField()
    revised_by = serializers.IntegerField(allow_null=True)
    invalidated = serializers.CharField(allow_null=True, help_text="the reason, where it was invalidated")
    review = OutcomeForm(allow_null=True)
    task = TaskForm(help_text="as it was shown")


class AppealedForm(Rest):
    annotation = serializers.IntegerField()
    text = serializers.CharField()
    at = serializers.DateTimeField()


class SentBackForm(OutcomeForm):
    annotation = serializers.IntegerField()
    project = serializers.SlugField()
    task = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Task.Kind.choices)


class SentBackListForm(Rest):
    results = SentBackForm(many=True)


class AnnotationPageForm(PageForm):
    results = AnnotationForm(many=True)
