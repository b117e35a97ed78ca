"""The nouns of labeling: projects and people, prompts and completions, tasks, leases, drafts, annotations.

Labels are appended, revised or invalidated, never overwritten or deleted; a database trigger says so too.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from guidelines.models import Guideline, GuidelineVersion
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
    lease_seconds = models.PositiveIntegerField(default=600)
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
    def manages(self) -> bool:
        """May change the project: guideline, people, imports."""
        return self.role in {self.Role.OWNER, self.Role.ADMIN}


class Import(models.Model):
    """One batch of prompts or demonstrations that came in together, and the rows that were refused."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="imports")
    kind = models.CharField(max_length=16, choices=[("prompts", "prompts"), ("demonstrations", "demonstrations")])
    source = models.CharField(max_length=200)
    synthetic = models.BooleanField(default=False, help_text="made by a program, not by people")
    accepted = models.PositiveIntegerField(default=0)
    refused = models.JSONField(default=list, help_text='[{"row", "field", "reason"}, …]')
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.source}: {self.accepted} {self.kind}"


class Prompt(models.Model):
    """A conversation that ends with the user's turn: ``messages`` is ``[{"role", "content"}, …]``."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="prompts")
    messages = models.JSONField()
    text_hash = models.CharField(max_length=64, help_text="sha256 of the messages")
    split = models.CharField(max_length=8, choices=Split, default=Split.TRAIN)
    use_case = models.CharField(max_length=60, blank=True)
    language = models.CharField(max_length=35, blank=True)
    metadata = models.JSONField(default=dict, blank=True, help_text="carried through to exports, never shown")
    batch = models.ForeignKey(Import, null=True, blank=True, on_delete=models.PROTECT, related_name="prompts")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "text_hash"], name="prompt_once_a_project")]

    def __str__(self) -> str:
        return str(self.messages[-1]["content"])[:80]


class Completion(models.Model):
    """An answer to a prompt: by a checkpoint with its sampling parameters and seed, or imported."""

    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="completions")
    text = models.TextField()
    text_hash = models.CharField(max_length=64)
    checkpoint = models.ForeignKey(
        Checkpoint, null=True, blank=True, on_delete=models.PROTECT, related_name="completions"
    )
    sampling = models.JSONField(default=dict, help_text="temperature, top_p, max_new_tokens")
    seed = models.BigIntegerField(null=True, blank=True)
    index = models.PositiveSmallIntegerField(default=0, help_text="which of the K of one prompt")
    tokens = models.PositiveIntegerField(null=True, blank=True)
    finished = models.BooleanField(default=True, help_text="ended by itself rather than at the length limit")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # A sampling step that is restarted finds its rows instead of doubling them.
            models.UniqueConstraint(
                fields=["prompt", "checkpoint", "seed", "index"],
                condition=Q(checkpoint__isnull=False),
                name="completion_once_a_seed",
            )
        ]

    def __str__(self) -> str:
        return self.text[:80]


class TaskQuerySet(models.QuerySet["Task"]):
    def open(self) -> TaskQuerySet:
        """Tasks that still want a labeler."""
        return self.filter(state=Task.State.OPEN, taken__lt=F("wanted"))


class Task(models.Model):
    """One piece of work. ``taken`` counts live leases and counted labels, on the row that the queue locks."""

    class Kind(models.TextChoices):
        DEMONSTRATE = "demonstrate"
        RANK = "rank"

    class State(models.TextChoices):
        OPEN = "open"
        WITHDRAWN = "withdrawn"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="tasks")
    kind = models.CharField(max_length=16, choices=Kind)
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="tasks")
    guideline_version = models.ForeignKey(GuidelineVersion, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    priority = models.SmallIntegerField(default=0, help_text="higher is handed out first")
    wanted = models.PositiveSmallIntegerField(default=1)
    taken = models.PositiveSmallIntegerField(default=0)
    round_number = models.PositiveIntegerField(null=True, blank=True, help_text="the round it gathers labels for")
    selection_policy = models.CharField(max_length=40, default="random", help_text="why this prompt was chosen")
    propensity = models.FloatField(null=True, blank=True, help_text="probability of having been chosen")
    gold = models.JSONField(null=True, blank=True, help_text="the known answer, where this is a test")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TaskQuerySet.as_manager()

    class Meta:
        indexes = [
            # Serves `queue.lease_next`: only what still wants a labeler, in the order it is handed out.
            models.Index(
                F("project"),
                F("kind"),
                F("priority").desc(),
                F("id"),
                condition=Q(state="open", taken__lt=F("wanted")),
                name="task_waiting",
            )
        ]
        constraints = [
            models.CheckConstraint(condition=Q(taken__lte=F("wanted")), name="task_never_over_assigned")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class Candidate(models.Model):
    """A completion as one of the answers of a ranking task."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="candidates")
    completion = models.ForeignKey(Completion, on_delete=models.PROTECT, related_name="candidates")
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["task", "completion"], name="candidate_once_a_task"),
            models.UniqueConstraint(fields=["task", "position"], name="candidate_position_once"),
        ]

    def __str__(self) -> str:
        return f"candidate {self.position} of task {self.task_id}"


class Lease(models.Model):
    """A labeler's claim on a task until ``expires_at``; every hand-out is kept, whatever became of it."""

    class State(models.TextChoices):
        OPEN = "open"
        SUBMITTED = "submitted"
        SKIPPED = "skipped"
        EXPIRED = "expired"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="leases")
    labeler = models.ForeignKey(Labeler, on_delete=models.PROTECT, related_name="leases")
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    shown_order = models.JSONField(default=list, help_text="candidate ids as this labeler sees them")
    skip_reason = models.CharField(max_length=300, blank=True)
    opened_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    first_action_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    active_seconds = models.FloatField(default=0, help_text="time with activity, idle excluded")

    class Meta:
        indexes = [
            models.Index(fields=["expires_at"], condition=Q(state="open"), name="lease_to_sweep"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["task", "labeler"], condition=Q(state="open"), name="lease_once_a_labeler"
            ),
            # Serves "what is done with" in `queue.lease_next`: nobody is given the same task twice.
            models.UniqueConstraint(
                fields=["labeler", "task"],
                condition=Q(state__in=["submitted", "skipped"]),
                name="lease_settled_once",
            ),
        ]

    def __str__(self) -> str:
        return f"lease {self.pk} ({self.state})"


class Draft(models.Model):
    """Unfinished work on a task. It outlives the lease; ``version`` catches two tabs writing at once."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="drafts")
    labeler = models.ForeignKey(Labeler, on_delete=models.CASCADE, related_name="drafts")
    answer = models.JSONField()
    version = models.PositiveIntegerField(default=1)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["task", "labeler"], name="draft_once")]

    def __str__(self) -> str:
        return f"draft of task {self.task_id}"


class AnnotationQuerySet(models.QuerySet["Annotation"]):
    def valid(self) -> AnnotationQuerySet:
        """Labels that stand: neither revised nor invalidated."""
        return self.filter(superseded_by__isnull=True, invalidation__isnull=True)

    def trainable(self) -> AnnotationQuerySet:
        """Valid labels that may train a model: held-out prompts and labelers only judge."""
        return self.valid().filter(
            prompt_split=Split.TRAIN, labeler_group=Split.TRAIN, task__gold__isnull=True
        )


class Annotation(models.Model):
    """One label. Append-only: a revision names what it supersedes, a withdrawal is an `Invalidation`."""

    submission_id = models.UUIDField(unique=True, help_text="made by the client, so that a repeat is harmless")
    body_hash = models.CharField(max_length=64, help_text="sha256 of what was submitted under that id")
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="annotations")
    labeler = models.ForeignKey(Labeler, on_delete=models.PROTECT, related_name="annotations")
    lease = models.ForeignKey(
        Lease, null=True, blank=True, on_delete=models.PROTECT, related_name="annotations"
    )
    kind = models.CharField(max_length=16, choices=Task.Kind)
    guideline_version = models.ForeignKey(
        GuidelineVersion, on_delete=models.PROTECT, related_name="annotations"
    )
    schema = models.PositiveSmallIntegerField(default=1, help_text="version of the answer's form for its kind")
    answer: Any = models.JSONField()
    supersedes = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="superseded_by"
    )
    surplus = models.BooleanField(default=False, help_text="came when the task wanted no more")
    shown_order = models.JSONField(default=list)
    text_hashes = models.JSONField(default=dict, help_text='{"prompt": sha256, "<candidate id>": sha256}')
    prompt_split = models.CharField(max_length=8, choices=Split)
    labeler_group = models.CharField(max_length=8, choices=Split)
    assisted_by = models.ForeignKey(
        Checkpoint, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    assisted_share = models.FloatField(null=True, blank=True, help_text="share of the text that is the model's")
    opened_at = models.DateTimeField()
    first_action_at = models.DateTimeField(null=True, blank=True)
    submitted_at = models.DateTimeField()
    active_seconds = models.FloatField(default=0)

    repeated = False
    """Set on what a submit returns: this label was stored by an earlier one with the same id."""

    objects = AnnotationQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["task", "labeler"], name="annotation_of_task")]

    def __str__(self) -> str:
        return f"{self.kind} label {self.pk}"


class Invalidation(models.Model):
    """A label taken out of use, by whom and why. The label itself stays."""

    annotation = models.OneToOneField(Annotation, on_delete=models.PROTECT, related_name="invalidation")
    reason = models.CharField(max_length=500)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.reason


class Dataset(models.Model):
    """A frozen list of labels (or prompts) with weights. Its rows follow from immutable records."""

    class Kind(models.TextChoices):
        DEMONSTRATIONS = "demonstrations"
        PREFERENCES = "preferences"
        PROMPTS = "prompts"

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="datasets")
    number = models.PositiveIntegerField(help_text="counts from 1 within the project")
    kind = models.CharField(max_length=16, choices=Kind)
    filter = models.JSONField(default=dict, help_text="what was asked for")
    size = models.PositiveIntegerField(default=0)
    digest = models.CharField(max_length=64, help_text="sha256 over its rows, in order")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    frozen_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="dataset_number_once")]

    def __str__(self) -> str:
        return f"{self.project.slug} dataset {self.number} ({self.kind})"


class DatasetItem(models.Model):
    """One row of a dataset: a label, or a prompt where the dataset is of prompts."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="items")
    ordinal = models.PositiveIntegerField()
    annotation = models.ForeignKey(
        Annotation, null=True, blank=True, on_delete=models.PROTECT, related_name="dataset_items"
    )
    prompt = models.ForeignKey(
        Prompt, null=True, blank=True, on_delete=models.PROTECT, related_name="dataset_items"
    )
    weight = models.FloatField(default=1)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dataset", "ordinal"], name="dataset_item_ordinal_once"),
            models.CheckConstraint(
                condition=Q(annotation__isnull=True) ^ Q(prompt__isnull=True), name="dataset_item_is_one_thing"
            ),
        ]

    def __str__(self) -> str:
        return f"item {self.ordinal} of dataset {self.dataset_id}"


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
