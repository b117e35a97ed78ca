"""What is worked on: prompts and completions, tasks with their candidates, leases and drafts."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import F, Q

from guidelines.models import GuidelineVersion
from labeling.models.projects import Import, Labeler, Project, Split
from models_zoo.models import Checkpoint


class Picture(models.Model):
    """An image that messages of a project name by its sha256; it came in with them."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="pictures")
    sha256 = models.CharField(max_length=64)
    media_type = models.CharField(max_length=40)
    content = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "sha256"], name="picture_once_a_project")]

    def __str__(self) -> str:
        return f"{self.media_type} {self.sha256[:12]}"


class PromptQuerySet(models.QuerySet["Prompt"]):
    def to_answer(self) -> PromptQuerySet:
        """Prompts that models are given: the assistant's turn is next, and no talk with a checkpoint."""
        return self.filter(next_role=Prompt.Next.ASSISTANT, withdrawn=False).exclude(
            origin=Prompt.Origin.CONVERSED
        )


class Prompt(models.Model):
    """A conversation whose next turn is wanted: ``messages`` is ``[{"role", "content"}, …]``.

    It ends with the user's turn where the model is to answer. Where a person is to say the user's next turn
    it ends with an answer, or is empty.
    """

    class Origin(models.TextChoices):
        GIVEN = "given"
        WRITTEN = "written"
        CONVERSED = "conversed"

    class Next(models.TextChoices):
        ASSISTANT = "assistant"
        USER = "user"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="prompts")
    messages = models.JSONField()
    text_hash = models.CharField(max_length=64, help_text="sha256 of the messages")
    next_role = models.CharField(max_length=10, choices=Next, default=Next.ASSISTANT)
    origin = models.CharField(
        max_length=10,
        choices=Origin,
        default=Origin.GIVEN,
        help_text="imported or made by a program; written by a labeler; a talk with a checkpoint",
    )
    root = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="branches",
        help_text="the conversation it grew from; none where it is one itself",
    )
    written_in = models.ForeignKey(
        "Annotation",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="prompts",
        help_text="the label that wrote its last turn",
    )
    withdrawn = models.BooleanField(
        default=False, help_text="a turn before its end was taken back; its labels train nothing"
    )
    sensitive = models.BooleanField(default=False, help_text="blurred until asked for")
    split = models.CharField(max_length=8, choices=Split, default=Split.TRAIN)
    use_case = models.CharField(max_length=60, blank=True)
    language = models.CharField(max_length=35, blank=True)
    skill = models.CharField(max_length=60, blank=True, db_default="", help_text="asked of who works on it")
    metadata = models.JSONField(default=dict, blank=True, help_text="carried through to exports, never shown")
    batch = models.ForeignKey(Import, null=True, blank=True, on_delete=models.PROTECT, related_name="prompts")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = PromptQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "text_hash"], name="prompt_once_a_project")]

    def __str__(self) -> str:
        content = self.messages[-1]["content"] if self.messages else ""
        if not isinstance(content, str):
            content = " ".join(part.get("text") or part.get("alt") or part["type"] for part in content)
        return content[:80]

    @property
    def asks(self) -> dict[str, Any]:
        """What a task of this prompt asks of who works on it, on the task's own row for the queue."""
        return {"sensitive": self.sensitive, "language": self.language, "skill": self.skill}


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
        """Tasks that still want a labeler, whoever comes: a copy that is kept for one of them is none."""
        return self.filter(state=Task.State.OPEN, taken__lt=F("wanted"), reserved_for__isnull=True)


class Task(models.Model):
    """One piece of work. ``taken`` counts live leases and counted labels, on the row that the queue locks."""

    class Kind(models.TextChoices):
        DEMONSTRATE = "demonstrate"
        RANK = "rank"
        COMPARE = "compare"
        RATE = "rate"
        EDIT = "edit"
        MARK = "mark"
        PROMPT = "prompt"
        CONVERSE = "converse"
        REVIEW = "review"

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
    gold = models.JSONField(
        null=True,
        blank=True,
        help_text='where this is a copy of a gold item: {"item": id, "use", "attempt"?: id}',
    )
    reserved_for = models.ForeignKey(
        Labeler,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="reserved_tasks",
        db_index=False,
        help_text="handed out to nobody else",
    )
    brief = models.JSONField(
        default=dict, blank=True, help_text='what to write or talk about: {"form", "text"}, either may lack'
    )
    reviewed = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="reviews",
        help_text="the task whose labels it judges, where it is a review",
    )
    sensitive = models.BooleanField(default=False, help_text="as its prompt; not for who avoids it")
    language = models.CharField(max_length=35, blank=True, db_default="", help_text="as its prompt")
    skill = models.CharField(max_length=60, blank=True, db_default="", help_text="as its prompt")
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
                condition=Q(state="open", taken__lt=F("wanted"), reserved_for__isnull=True),
                name="task_waiting",
            ),
            # Serves `qualification.copies`: the copies of gold items that one labeler was given.
            models.Index(
                fields=["reserved_for", "project"],
                condition=Q(reserved_for__isnull=False),
                name="task_reserved",
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(taken__lte=F("wanted")), name="task_never_over_assigned"),
            models.CheckConstraint(
                condition=Q(kind="review") ^ Q(reviewed__isnull=True), name="task_reviews_a_task"
            ),
            models.CheckConstraint(
                condition=Q(gold__isnull=True) | Q(reserved_for__isnull=False), name="task_gold_is_private"
            ),
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


class Reply(models.Model):
    """What a labeler asked the current checkpoint to say: a turn of a talk, or a draft to begin from.

    Its answers become completions of ``prompt``, by ``checkpoint`` and ``seed``; until then ``texts`` holds
    what was said so far.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        ANSWERING = "answering"
        DONE = "done"
        FAILED = "failed"

    lease = models.ForeignKey(Lease, on_delete=models.PROTECT, related_name="replies")
    number = models.PositiveSmallIntegerField(help_text="which of the lease, from 0")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="replies")
    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="+")
    wanted = models.PositiveSmallIntegerField(default=1, help_text="answers side by side")
    seed = models.BigIntegerField()
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    texts = models.JSONField(default=list)
    fault = models.CharField(max_length=300, blank=True)
    asked_at = models.DateTimeField(auto_now_add=True)
    seen_at = models.DateTimeField(null=True, blank=True, help_text="the last sign of whoever answers it")

    class Meta:
        verbose_name_plural = "replies"
        indexes = [
            models.Index(
                fields=["id"], condition=Q(state__in=["waiting", "answering"]), name="reply_waiting"
            ),
        ]
        constraints = [models.UniqueConstraint(fields=["lease", "number"], name="reply_number_once")]

    def __str__(self) -> str:
        return f"reply {self.number} of lease {self.lease_id} ({self.state})"


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
