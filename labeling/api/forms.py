"""The bodies of the API: those that come in are checked here, those that go out are for the schema."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from labeling.datasets import formats
from labeling.models import Dataset, Labeler, Membership, Reply, Split, Task
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


class ReviseForm(Form):
    submission_id = serializers.UUIDField()
    answer = AnswerField()
    active_seconds = ActiveSecondsField()


class InvalidateForm(Form):
    reason = serializers.CharField(max_length=500)


class LedgerQueryForm(serializers.Serializer[Any]):
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {
            "from": serializers.DateField(required=False, help_text="the month's first day unless given"),
            "to": serializers.DateField(
                required=False, help_text="the last day, included; today unless given"
            ),
            "format": serializers.ChoiceField(choices=["json", "csv"], default="json"),
        }


class TimeCorrectionForm(Form):
    labeler = serializers.UUIDField()
    day = serializers.DateField()
    seconds = serializers.IntegerField(help_text="to add; below 0 to take off")
    reason = serializers.CharField(max_length=500, help_text="the labeler reads it")


class WhoseForm(serializers.Serializer[Any]):
    mine = serializers.BooleanField(default=False)


class AppealForm(Form):
    text = serializers.CharField(trim_whitespace=False, help_text="why the label should stand")


class MemberForm(Form):
    username = serializers.CharField(max_length=150)
    role = serializers.ChoiceField(choices=Membership.Role.choices)
    kind = serializers.ChoiceField(choices=[Labeler.Kind.HUMAN, Labeler.Kind.SIMULATED], required=False)
    group = serializers.ChoiceField(choices=Split.choices, required=False)


class RowsForm(Form):
    rows = serializers.ListField(child=UncheckedField())


class ImportQueryForm(serializers.Serializer[Any]):
    source = serializers.CharField(max_length=200, default="API")  # type: ignore[assignment]
    synthetic = serializers.BooleanField(default=False, help_text="made by a program, not by people")
    split = serializers.CharField(
        default=Split.TRAIN.value, help_text="train, heldout, or the share to hold out, as 0.1"
    )
    tasks = serializers.CharField(
        required=False,
        help_text="ask people too: demonstrate, of demonstrations also prompt (what is said next), or of "
        "completions rank, compare, rate, edit, mark",
    )

    sensitive = serializers.BooleanField(default=False, help_text="every row is, whatever it says itself")


class CompletionsQueryForm(ImportQueryForm):
    model = serializers.CharField(
        max_length=200, required=False, help_text="who gave the answers of rows that name nobody"
    )


class TasksForm(Form):
    kind = serializers.CharField(help_text="rank, compare, rate, edit, mark, review, converse or prompt")
    prompts = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        required=False,
        help_text="their ids; all of the project's unless given",
    )
    of = serializers.ListField(
        child=serializers.CharField(max_length=20),
        required=False,
        allow_empty=False,
        help_text="reviews only: of these kinds; all unless given",
    )
    share = serializers.FloatField(
        required=False, help_text="reviews only: of the finished tasks, 1 unless given"
    )

    text = serializers.CharField(
        required=False, trim_whitespace=False, help_text="talks and prompts: what to talk or write about"
    )
    setting = serializers.CharField(
        required=False,
        trim_whitespace=False,
        help_text="talks only: a system text that the model reads first",
    )
    count = serializers.IntegerField(required=False, help_text="talks and prompts: how many; 1 unless given")
    form = serializers.CharField(
        required=False,
        help_text="prompts only: plain (unless given), few_shot, use_case, or follow_up, which asks for the "
        "next turns that conversations have room for",
    )
    use_case = serializers.CharField(
        required=False, trim_whitespace=False, help_text="prompts only: what they are for"
    )
    demonstrate = serializers.BooleanField(
        required=False, help_text="prompts only: ask for an answer to each at once; true unless given"
    )

    def validate(self, asked: dict[str, Any]) -> dict[str, Any]:
        own = {
            Task.Kind.REVIEW: {"of", "share"},
            Task.Kind.CONVERSE: {"text", "setting", "count"},
            Task.Kind.PROMPT: {"form", "use_case", "text", "count", "demonstrate"},
        }
        for name in set(self.fields) - {"kind"} - own.get(asked["kind"], {"prompts"}):
            if name in asked:
                raise serializers.ValidationError({name: f"Not for {asked['kind']} tasks. Leave it out."})
        if asked["kind"] == Task.Kind.CONVERSE and "text" not in asked:
            raise serializers.ValidationError({"text": "Say in a sentence or two what to talk about."})
        return asked


class TasksMadeForm(Rest):
    made = serializers.IntegerField()


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


class VersionForm(Rest):
    id = serializers.IntegerField()
    guideline = serializers.SlugField()
    number = serializers.IntegerField()


class PublishedForm(VersionForm):
    effects = serializers.ListField(
        child=serializers.CharField(), help_text="what publishing did to the work under way, in sentences"
    )


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


class PageForm(Rest):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class AnnotationPageForm(PageForm):
    results = AnnotationForm(many=True)


class LedgerRowForm(Rest):
    # "labels" and the like are counts of the day with that kind of task.
    labeler = serializers.UUIDField()
    name = serializers.CharField()
    day = serializers.DateField(allow_null=True, help_text="null in totals")
    kind = serializers.CharField(help_text="empty for corrections of the day, and in totals")
    labels = serializers.IntegerField()
    skips = serializers.IntegerField()
    active_seconds = serializers.IntegerField()
    corrected_seconds = serializers.IntegerField()
    total_seconds = serializers.IntegerField()
    reasons = serializers.ListField(child=serializers.CharField(), help_text="of the corrections")


class LedgerForm(Rest):
    # "from" is a word of Python's.
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {
            "from": serializers.DateField(),
            "to": serializers.DateField(),
            "rows": LedgerRowForm(many=True),
            "totals": LedgerRowForm(many=True, help_text="one a person"),
            "total": LedgerRowForm(),
        }


class TimeCorrectedForm(Rest):
    id = serializers.IntegerField()
    labeler = serializers.UUIDField()
    day = serializers.DateField()
    seconds = serializers.IntegerField()
    reason = serializers.CharField()
    at = serializers.DateTimeField()


class CheckpointRefForm(Rest):
    id = serializers.IntegerField()
    name = serializers.CharField()


class ProjectRefForm(Rest):
    slug = serializers.SlugField()
    name = serializers.CharField()
    role = serializers.ChoiceField(choices=Membership.Role.choices)


class ProjectListForm(Rest):
    results = ProjectRefForm(many=True)


class SettingsForm(Form):
    # The verb says what is out of bounds.
    overlap = serializers.IntegerField(required=False, help_text="labels wanted for each new task")
    partial_rankings = serializers.BooleanField(
        required=False, help_text="a ranking may leave answers out; they give no pairs"
    )
    tree_turns = serializers.IntegerField(
        required=False, help_text="turns that conversations grow to; 2 is a prompt and its answer"
    )
    tree_branches = serializers.IntegerField(required=False, help_text="next turns wanted after each turn")
    tree_size = serializers.IntegerField(
        required=False, help_text="turns that people write to one conversation, all branches together"
    )
    model_drafts = serializers.BooleanField(
        required=False, help_text="a demonstration may begin with a draft by the current checkpoint"
    )
    review_share = serializers.FloatField(
        required=False, help_text="share of finished tasks that a reviewer looks at, from 0 to 1"
    )
    lease_seconds = serializers.IntegerField(required=False)
    paused = serializers.BooleanField(required=False, help_text="hand out no tasks")


class ProjectForm(SettingsForm, ProjectRefForm):
    task_count = serializers.IntegerField()
    open_task_count = serializers.IntegerField(help_text="tasks that still want a labeler")
    annotation_count = serializers.IntegerField(help_text="labels that stand: not revised, not invalidated")
    guideline_version = VersionForm(allow_null=True)
    current_checkpoint = CheckpointRefForm(allow_null=True)
    stuck_appeals = serializers.IntegerField(
        help_text="appeals that nobody may decide: let somebody review who had no hand in the task"
    )


class NewMemberForm(Rest):
    username = serializers.CharField()
    token = serializers.CharField(
        allow_null=True, help_text="shown this once; null for an account that was there"
    )


class RefusalForm(Rest):
    row = serializers.IntegerField(allow_null=True)
    field = serializers.CharField()
    reason = serializers.CharField()


class ImportedForm(Rest):
    # "import" is a word of Python's.
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {
            "import": serializers.IntegerField(),
            "accepted": serializers.IntegerField(),
            "tasks": serializers.IntegerField(help_text="made along with the import"),
            "refused": RefusalForm(many=True),
        }


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
