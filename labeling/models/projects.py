"""Projects and the people in them: members, labelers, tokens, imports, numbered events."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models

from guidelines.models import Guideline
from models_zoo.models import Checkpoint

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


class Split(models.TextChoices):
    """Held-out prompts and labelers judge models; they never train one."""

    TRAIN = "train"
    HELDOUT = "heldout", "held out"


class ProjectQuerySet(models.QuerySet["Project"]):
    def visible_to(self, user: User | AnonymousUser) -> ProjectQuerySet:
        """Projects that ``user`` is a member of; all of them for a superuser."""
        return self if user.is_superuser else self.filter(memberships__user_id=user.pk)


class Project(models.Model):
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=200)
    guideline = models.ForeignKey(Guideline, on_delete=models.PROTECT, related_name="projects")
    current_checkpoint = models.ForeignKey(
        Checkpoint, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    overlap = models.PositiveSmallIntegerField(default=1, help_text="labels wanted for each new task")
    partial_rankings = models.BooleanField(
        default=False, help_text="a ranking may leave answers out; they give no pairs"
    )
    tree_turns = models.PositiveSmallIntegerField(
        default=2, help_text="turns a conversation grows to, by people: 2 is a prompt and its answer"
    )
    tree_branches = models.PositiveSmallIntegerField(
        default=1, help_text="next turns wanted for one turn of a conversation that grows"
    )
    tree_size = models.PositiveSmallIntegerField(
        default=12, help_text="turns that people write to one conversation, all branches together"
    )
    model_drafts = models.BooleanField(
        default=False, help_text="a demonstration may begin with a draft by the current checkpoint"
    )
    review_share = models.FloatField(
        default=0, help_text="share of finished tasks whose labels a reviewer looks at, from 0 to 1"
    )
    gold_rate = models.FloatField(
        default=0, db_default=0, help_text="share of tasks handed out that are copies of gold items, to 0.5"
    )
    weigh_labels = models.BooleanField(
        default=False,
        db_default=False,
        help_text="rounds weigh labels by how far their labeler can be relied on",
    )
    qualified_only = models.BooleanField(
        default=False, db_default=False, help_text="labelers pass the qualification before they work"
    )
    lease_seconds = models.PositiveIntegerField(default=600)
    heldout_share = models.FloatField(
        default=0, db_default=0, help_text="share of incoming prompts that judge models, from 0 to 1"
    )
    hourly_rate = models.DecimalField(
        max_digits=8,
        decimal_places=2,
        default=0,
        db_default=0,
        help_text="pay for an hour of active time; 0 where unsaid",
    )
    currency = models.CharField(max_length=3, default="USD", db_default="USD")
    paused = models.BooleanField(default=False, help_text="hand out no tasks")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Labeler(models.Model):
    """Who a label is by. Labels point here and not at an account, so that a person can be erased."""

    class Kind(models.TextChoices):
        HUMAN = "human"
        SIMULATED = "simulated"
        IMPORT = "import"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="labeler"
    )
    name = models.CharField(max_length=150, help_text="a pseudonym once the account is gone")
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.HUMAN)
    avoids_sensitive = models.BooleanField(default=False, help_text="is handed no tasks marked as sensitive")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    class Role(models.TextChoices):
        OWNER = "owner"
        ADMIN = "admin"
        REVIEWER = "reviewer"
        LABELER = "labeler"
        ENGINEER = "engineer"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role)
    group = models.CharField(max_length=8, choices=Split, default=Split.TRAIN)
    languages = models.JSONField(
        default=list, db_default=[], blank=True, help_text="of tasks they are handed; empty for any"
    )
    skills = models.JSONField(
        default=list, db_default=[], blank=True, help_text="they have; a task may ask for one"
    )
    paused = models.BooleanField(default=False, db_default=False, help_text="is handed no tasks")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user}: {self.role} of {self.project}"

    @property
    def runs_models(self) -> bool:
        """May start rounds and runs, promote and export."""
        return self.role in {self.Role.OWNER, self.Role.ADMIN, self.Role.ENGINEER}

    @property
    def reviews(self) -> bool:
        """May judge the labels of others."""
        return self.role in {self.Role.OWNER, self.Role.ADMIN, self.Role.REVIEWER}

    @property
    def manages(self) -> bool:
        """May change the project: guideline, people, imports."""
        return self.role in {self.Role.OWNER, self.Role.ADMIN}


class ImportQuerySet(models.QuerySet["Import"]):
    def withdrawn(self) -> ImportQuerySet:
        """Imports whose prompts are asked about no longer, and whose labels train nothing."""
        return self.filter(withdrawn_at__isnull=False)


class Import(models.Model):
    """One batch of rows of a kind that came in together, and those that were refused."""

    class Kind(models.TextChoices):
        PROMPTS = "prompts"
        DEMONSTRATIONS = "demonstrations"
        COMPLETIONS = "completions"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="imports")
    kind = models.CharField(max_length=16, choices=Kind)
    source = models.CharField(max_length=200)
    synthetic = models.BooleanField(default=False, help_text="made by a program, not by people")
    accepted = models.PositiveIntegerField(default=0)
    refused = models.JSONField(default=list, help_text='[{"row", "field", "reason"}, …]')
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(auto_now_add=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    labeler = models.ForeignKey(
        Labeler,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="imports",
        help_text="whom its demonstrations are labels by",
    )

    tasks_made = 0
    """Set on what an import returns: the tasks that were made along with it."""

    objects = ImportQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.source}: {self.accepted} {self.kind}"


class ApiToken(models.Model):
    """A personal token; only its sha256 is stored, the token itself is shown once."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=8, help_text="what the owner recognises it by")
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class AccountSettings(models.Model):
    """What a person chose for themselves; without a row all is as delivered."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="+"
    )
    single_keys = models.BooleanField(default=True, help_text="keys act without Ctrl on the work page")
    keys = models.JSONField(default=dict, help_text="delivered key: the one chosen in its place")
    shows_sensitive = models.BooleanField(default=False, help_text="sensitive texts are not blurred")

    def __str__(self) -> str:
        return f"settings of {self.user_id}"


class TimeCorrection(models.Model):
    """Seconds that an admin added to a labeler's active time of a day, or took off it. Append-only."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="time_corrections")
    labeler = models.ForeignKey(Labeler, on_delete=models.PROTECT, related_name="time_corrections")
    day = models.DateField()
    seconds = models.IntegerField(help_text="below 0 to take off")
    reason = models.CharField(max_length=500)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["project", "day"], name="time_correction_of_day")]

    def __str__(self) -> str:
        return f"{self.seconds:+} s on {self.day}: {self.reason}"


class Event(models.Model):
    """A numbered notice that something of a project changed; it carries references, never payloads."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=40)
    reference = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["project", "id"], name="event_since")]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
