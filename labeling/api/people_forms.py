"""The bodies of the doors to people."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from labeling.api.forms import Form, Rest
from labeling.models import Membership, Split, Task
from labeling.people import invitations, roster

MOST_INVITATIONS = 500


class WordsField(serializers.ListField):
    child = serializers.CharField(max_length=200)


class RosterQueryForm(serializers.Serializer[Any]):
    search = serializers.CharField(required=False, allow_blank=True, max_length=150)
    role = serializers.ChoiceField(
        choices=[*Membership.Role.values, roster.PAUSED, roster.FORMER],
        required=False,
        help_text="a role; paused; or former, those who left labels and are no member",
    )
    page = serializers.IntegerField(required=False, min_value=1, max_value=10**6)


class PersonForm(Rest):
    id = serializers.UUIDField(help_text="of the labeler, as labels name them")
    name = serializers.CharField()
    kind = serializers.CharField(help_text="human, simulated or import")
    role = serializers.ChoiceField(choices=Membership.Role.choices, allow_null=True)
    group = serializers.ChoiceField(choices=Split.choices, allow_null=True)
    languages = WordsField()
    skills = WordsField()
    paused = serializers.BooleanField()
    labels = serializers.IntegerField(help_text="that stand")
    last_worked = serializers.DateTimeField(allow_null=True)
    open_leases = serializers.IntegerField()
    week_seconds = serializers.IntegerField(help_text="time with activity in the last 7 days")


class RosterForm(Rest):
    page = serializers.IntegerField()
    pages = serializers.IntegerField()
    results = PersonForm(many=True)


class MemberChangeForm(Form):
    # The verb says which roles are the asker's to give.
    role = serializers.CharField(max_length=20, required=False)
    group = serializers.CharField(max_length=20, required=False, help_text="holds for future labels")
    languages = WordsField(required=False, help_text="of the tasks they are handed; none for any")
    skills = WordsField(required=False)
    paused = serializers.BooleanField(required=False, help_text="hand them no more tasks")


class EndedForm(Rest):
    leases_given_back = serializers.IntegerField()


class LinkForm(Rest):
    link = serializers.URLField()


class PseudonymForm(Form):
    name = serializers.CharField(max_length=150)


class EraseForm(Form):
    confirm = serializers.CharField(max_length=150, help_text="their name, once more")


class ErasedForm(Rest):
    id = serializers.UUIDField()
    name = serializers.CharField(help_text="the pseudonym")


class InviteForm(Form):
    role = serializers.CharField(max_length=20, required=False, help_text="labeler unless given")
    group = serializers.CharField(max_length=20, required=False, help_text="train unless given")
    languages = WordsField(required=False)
    skills = WordsField(required=False)
    most_uses = serializers.IntegerField(required=False, help_text="people it is for; 1 unless given")
    days = serializers.IntegerField(required=False, help_text=f"{invitations.DAYS} unless given")
    name = serializers.CharField(max_length=150, required=False, help_text="whom it is for")


class InviteManyForm(Form):
    csv = serializers.CharField(
        max_length=1024 * 1024,
        trim_whitespace=False,
        help_text=f"columns {', '.join(invitations.COLUMNS)}; only name has to be there",
    )
    days = serializers.IntegerField(required=False, help_text=f"{invitations.DAYS} unless given")


class InvitationForm(Rest):
    id = serializers.IntegerField()
    begins_with = serializers.CharField(help_text="what the link's secret begins with")
    state = serializers.ChoiceField(choices=[state.value for state in invitations.State])
    name = serializers.CharField()
    role = serializers.ChoiceField(choices=Membership.Role.choices)
    group = serializers.ChoiceField(choices=Split.choices)
    languages = WordsField()
    skills = WordsField()
    uses = serializers.IntegerField()
    most_uses = serializers.IntegerField()
    expires_at = serializers.DateTimeField()


class InvitationMadeForm(InvitationForm):
    link = serializers.URLField(help_text="shown this once")


class InvitationListForm(Rest):
    results = InvitationForm(many=True)


class RowRefusedForm(Rest):
    row = serializers.IntegerField(help_text="its line in the CSV")
    # "field" is what the row's cell is called.
    field = serializers.CharField()
    reason = serializers.CharField()


class InvitationsMadeForm(Rest):
    made = InvitationMadeForm(many=True)
    refused = RowRefusedForm(many=True)


class JoinForm(Form):
    secret = serializers.CharField(max_length=200)


class JoinedForm(Rest):
    project = serializers.SlugField()
    role = serializers.ChoiceField(choices=Membership.Role.choices)
    group = serializers.ChoiceField(choices=Split.choices)


class NoteForm(Form):
    labeler = serializers.UUIDField()
    text = serializers.CharField(trim_whitespace=False, help_text="2,000 characters at most")


class NoteSentForm(Rest):
    # "from" is a word of Python's.
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {
            "id": serializers.IntegerField(),
            "project": serializers.SlugField(),
            "text": serializers.CharField(),
            "from": serializers.CharField(allow_null=True),
            "at": serializers.DateTimeField(),
            "read_at": serializers.DateTimeField(allow_null=True),
        }


class NoteListForm(Rest):
    results = NoteSentForm(many=True)


class ChoiceForm(Form):
    labeler = serializers.UUIDField(required=False, help_text="whose labels; or give a version, or both")
    version = serializers.IntegerField(
        required=False, min_value=1, max_value=2**31 - 1, help_text="number of the guideline version"
    )
    kind = serializers.ChoiceField(choices=Task.Kind.choices, required=False)
    since = serializers.DateField(required=False, help_text="first day")
    until = serializers.DateField(required=False, help_text="last day, included")


class InvalidateManyForm(ChoiceForm):
    reason = serializers.CharField(help_text="500 characters at most")


class HeldForm(Rest):
    kind = serializers.CharField(help_text="dataset, run, checkpoint or round")
    name = serializers.CharField()
    address = serializers.CharField(help_text="of its page")
    labels = serializers.IntegerField(allow_null=True, help_text="of these that it lists; datasets only")


class BlastForm(Rest):
    labels = serializers.IntegerField(help_text="earlier versions of revised labels included")
    tasks = serializers.IntegerField()
    labelers = serializers.IntegerField()
    datasets = HeldForm(many=True)
    made = HeldForm(many=True)


class InvalidationPreviewForm(Rest):
    labels = serializers.IntegerField(help_text="that would be taken out of use")
    opened = serializers.IntegerField(help_text="tasks that would ask again")
    held = serializers.IntegerField(help_text="tasks the labeler has open, which stay open")
    final = serializers.IntegerField(help_text="reviews that decided an appeal, which stay")
    radius = BlastForm()


class InvalidatedManyForm(Rest):
    labels = serializers.IntegerField()
    opened = serializers.IntegerField()
