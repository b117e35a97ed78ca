"""The bodies of the doors to projects: settings, people, imports, tasks to make, hours."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from labeling.api.forms import CheckpointRefForm, Form, Rest, UncheckedField, VersionForm
from labeling.incoming import personal_data
from labeling.models import Labeler, Membership, Split, Task
from labeling.people import presets


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
        required=False,
        help_text="train, heldout, or the share to hold out, as 0.1; the project's share unless given",
    )
    split_by = serializers.CharField(
        required=False, help_text="with a share: rows with equal values of this field stay on one side"
    )
    tasks = serializers.CharField(
        required=False,
        help_text="ask people too: demonstrate, of demonstrations also prompt (what is said next), or of "
        "completions rank, compare, rate, edit, mark; several with commas between",
    )
    use_case = serializers.CharField(required=False, help_text="of rows that name none")
    language = serializers.CharField(required=False, help_text="of rows that name none")
    skill = serializers.CharField(
        required=False, help_text="asked of who works on rows that name none themselves"
    )
    sensitive = serializers.BooleanField(default=False, help_text="every row is, whatever it says itself")
    dry_run = serializers.BooleanField(
        default=False, help_text="judge every row, store nothing, and point out repetitions and personal data"
    )

    def validate_tasks(self, given: str) -> list[str]:
        return [kind.strip() for kind in given.split(",") if kind.strip()]


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
    gold_rate = serializers.FloatField(
        required=False, help_text="share of tasks handed out that are copies of gold items, from 0 to 0.5"
    )
    weigh_labels = serializers.BooleanField(
        required=False, help_text="rounds weigh labels by how far their labeler can be relied on"
    )
    lease_seconds = serializers.IntegerField(required=False)
    heldout_share = serializers.FloatField(
        required=False, help_text="share of incoming prompts that judge and never train, from 0 to 0.9"
    )
    name = serializers.CharField(required=False)
    hourly_rate = serializers.FloatField(
        required=False, help_text="pay for an hour of active time; 0 where unsaid"
    )
    currency = serializers.CharField(required=False, help_text="three letters")
    paused = serializers.BooleanField(required=False, help_text="hand out no tasks")


class ProjectForm(ProjectRefForm, SettingsForm):
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


class NearDuplicateForm(Rest):
    row = serializers.IntegerField()
    of_row = serializers.IntegerField(allow_null=True)
    of_prompt = serializers.IntegerField(allow_null=True, help_text="the id of a prompt of the project")
    likeness = serializers.FloatField(help_text="Jaccard index of the word pairs, from 0 to 1")


class NearDuplicatesForm(Rest):
    rows = serializers.IntegerField()
    compared_all = serializers.BooleanField(help_text="or with the project's newest prompts only")
    first = NearDuplicateForm(many=True)


class PersonalForm(Rest):
    row = serializers.IntegerField()
    field = serializers.CharField()
    kind = serializers.CharField(help_text=", ".join(personal_data.Kind.values))
    start = serializers.IntegerField(help_text="its first character, from 1")


class PersonalDataForm(Rest):
    rows = serializers.IntegerField()
    kinds = serializers.DictField(child=serializers.IntegerField())
    first = PersonalForm(many=True)


class PreviewForm(Rest):
    near_duplicates = NearDuplicatesForm()
    personal_data = PersonalDataForm()
    splits = serializers.DictField(child=serializers.IntegerField(), help_text="rows by side")


class ImportedForm(Rest):
    # "import" is a word of Python's.
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {
            "import": serializers.IntegerField(allow_null=True, help_text="null where it was a dry run"),
            "accepted": serializers.IntegerField(),
            "tasks": serializers.IntegerField(help_text="made along with the import"),
            "refused": RefusalForm(many=True),
            "preview": PreviewForm(required=False, help_text="of a dry run only"),
        }


class NewProjectForm(Form):
    slug = serializers.CharField(help_text="its address: letters, digits, hyphens and underscores")
    name = serializers.CharField()
    preset = serializers.CharField(
        required=False, help_text="a whole project to begin with: " + ", ".join(presets.PRESETS)
    )
    guideline_title = serializers.CharField(required=False, help_text="unless a preset says it")
    guideline_body = serializers.CharField(required=False, help_text="Markdown, unless a preset says it")
    settings = serializers.DictField(required=False, help_text="any of a project's settings")
