"""What is worked on: prompts and completions, tasks with their candidates, leases and drafts."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q

from guidelines.models import GuidelineVersion
from labeling.models.projects import Import, Labeler, Project, Split
from models_zoo.models import Checkpoint


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
            ),
            models.UniqueConstraint(
                fields=["prompt", "text_hash"],
                condition=Q(checkpoint__isnull=True),
                name="completion_imported_once",
            ),
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
        COMPARE = "compare"
        RATE = "rate"
        EDIT = "edit"

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
    round_number = models.PositiveIntegerField(
        null=True, blank=True, help_text="the round it gathers labels for"
    )
    selection_policy = models.CharField(
        max_length=40, default="random", help_text="why this prompt was chosen"
    )
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
    """A completion as one of the answers that a task shows."""

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
    guideline_version = models.ForeignKey(
        GuidelineVersion,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="the version that was read, whatever the task has been re-issued under since",
    )
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

    @property
    def version_read(self) -> int:
        """The key of the guideline version that a label of this lease names."""
        return self.guideline_version_id or self.task.guideline_version_id


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
