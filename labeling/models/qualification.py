"""What is known beforehand: gold items, who answered them how, and who qualified by them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from guidelines.models import GuidelineVersion
from labeling.models.labels import Annotation
from labeling.models.projects import Labeler, Project
from labeling.models.work import Prompt, Task


class GoldItemQuerySet(models.QuerySet["GoldItem"]):
    def live(self) -> GoldItemQuerySet:
        """Items that are still asked."""
        return self.filter(retired_at__isnull=True)


class GoldItem(models.Model):
    """A question with a known answer. It is never handed out itself: each labeler gets a copy, a `Task`.

    ``answer`` is in the form of its kind, with candidates named by their place in ``completions``, from 0.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="gold_items")
    kind = models.CharField(max_length=16, choices=Task.Kind)
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="gold_items")
    completions = models.JSONField(default=list, help_text="ids, in order")
    answer: Any = models.JSONField()
    explanation = models.TextField(blank=True, help_text="why; a labeler reads it after a quiz or practice")
    guideline_version = models.ForeignKey(
        GuidelineVersion, on_delete=models.PROTECT, related_name="+", help_text="the answer was given under"
    )
    quiz = models.BooleanField(default=False)
    practice = models.BooleanField(default=False)
    queue = models.BooleanField(default=False)
    made_from = models.ForeignKey(
        Task, null=True, blank=True, on_delete=models.PROTECT, related_name="gold_items"
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    objects = GoldItemQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            # Serves `qualification.copies.draw`.
            models.Index(
                fields=["project", "kind"], condition=Q(retired_at__isnull=True, queue=True), name="gold_live"
            )
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(quiz=True) | Q(practice=True) | Q(queue=True), name="gold_is_used"
            ),
            models.CheckConstraint(
                condition=Q(quiz=False, practice=False) | ~Q(explanation=""), name="gold_is_explained"
            ),
        ]

    def __str__(self) -> str:
        return f"gold {self.kind} {self.pk}"

    @property
    def uses(self) -> list[str]:
        return [name for name in ("quiz", "practice", "queue") if getattr(self, name)]


class Qualification(models.Model):
    """What a project asks of labelers before they work; it holds where `Project.qualified_only` is set."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="qualification")
    kinds = models.JSONField(default=list, help_text="of the quiz")
    questions = models.PositiveSmallIntegerField(default=10, help_text="of the quiz, graded by the platform")
    pass_agreement = models.FloatField(default=0.75, help_text="with the known answers, from 0 to 1")
    demonstrations = models.PositiveSmallIntegerField(default=0, help_text="to write, graded by reviewers")
    pass_points = models.FloatField(default=6, help_text="mean of the grades, from 1 to 7")
    tries = models.PositiveSmallIntegerField(default=3)
    wait_hours = models.PositiveSmallIntegerField(default=24, help_text="between two tries")
    valid_days = models.PositiveSmallIntegerField(default=0, help_text="a pass lasts; 0 for always")
    asked_anew_at = models.DateTimeField(
        null=True, blank=True, help_text="what was passed or failed before counts no more"
    )
    asked_version = models.ForeignKey(
        GuidelineVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    def __str__(self) -> str:
        return f"qualification of {self.project_id}"


class Attempt(models.Model):
    """A labeler's try at a project's qualification."""

    class State(models.TextChoices):
        OPEN = "open"
        GRADING = "grading", "waits for grades"
        PASSED = "passed"
        FAILED = "failed"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="attempts")
    labeler = models.ForeignKey(Labeler, on_delete=models.PROTECT, related_name="attempts")
    number = models.PositiveSmallIntegerField(help_text="counts from 1 for the labeler in the project")
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    guideline_version = models.ForeignKey(GuidelineVersion, on_delete=models.PROTECT, related_name="+")
    pass_agreement = models.FloatField(help_text="that was asked when it began")
    pass_points = models.FloatField()
    agreement = models.FloatField(null=True, blank=True, help_text="with the known answers, from 0 to 1")
    points = models.FloatField(null=True, blank=True, help_text="mean of the grades, from 1 to 7")
    started_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    valid_until = models.DateTimeField(null=True, blank=True, help_text="of a pass; none for always")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "labeler", "number"], name="attempt_number_once"),
            models.UniqueConstraint(
                fields=["project", "labeler"],
                condition=Q(state__in=["open", "grading"]),
                name="attempt_one_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"try {self.number} of {self.labeler_id}: {self.state}"

    def has_expired(self, now: datetime) -> bool:
        return self.valid_until is not None and self.valid_until <= now


class GoldLabel(models.Model):
    """How far a label on a copy of a gold item agrees with the known answer. Append-only."""

    class Use(models.TextChoices):
        QUIZ = "quiz"
        PRACTICE = "practice"
        QUEUE = "queue"

    annotation = models.OneToOneField(Annotation, on_delete=models.PROTECT, related_name="gold_label")
    item = models.ForeignKey(GoldItem, on_delete=models.PROTECT, related_name="gold_labels")
    labeler = models.ForeignKey(Labeler, on_delete=models.PROTECT, related_name="gold_labels")
    use = models.CharField(max_length=8, choices=Use)
    attempt = models.ForeignKey(
        Attempt, null=True, blank=True, on_delete=models.PROTECT, related_name="gold_labels"
    )
    agreement = models.FloatField(null=True, help_text="from 0 to 1; none where people grade it")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(use="quiz") ^ Q(attempt__isnull=True), name="gold_label_of_a_quiz"
            )
        ]

    def __str__(self) -> str:
        return f"{self.use} label {self.annotation_id} on gold {self.item_id}"


class Grade(models.Model):
    """A reviewer's points for a demonstration that somebody wrote to qualify. Append-only."""

    LEAST, MOST = 1, 7

    annotation = models.ForeignKey(Annotation, on_delete=models.PROTECT, related_name="grades")
    grader = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    points = models.PositiveSmallIntegerField(help_text="from 1 to 7")
    comment = models.TextField(blank=True, help_text="its author reads it")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["annotation"], name="grade_once"),
            models.CheckConstraint(condition=Q(points__gte=1, points__lte=7), name="grade_from_1_to_7"),
        ]

    def __str__(self) -> str:
        return f"{self.points} for label {self.annotation_id}"
