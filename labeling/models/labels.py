"""What comes of the work: labels, their invalidations, and the datasets that list them.

Labels are appended, revised or invalidated, never overwritten or deleted; a database trigger says so too.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from guidelines.models import GuidelineVersion
from labeling.models.projects import Import, Labeler, Project, Split
from labeling.models.work import Lease, Prompt, Task
from models_zoo.models import Checkpoint


class AnnotationQuerySet(models.QuerySet["Annotation"]):
    def valid(self) -> AnnotationQuerySet:
        """Labels that stand: neither revised nor invalidated."""
        return self.filter(superseded_by__isnull=True, invalidation__isnull=True)

    def standing(self) -> AnnotationQuerySet:
        """Valid labels but for those that a reviewer sent back and no appeal restored."""
        against = Review.objects.in_force().filter(verdict=Review.Verdict.SEND_BACK)
        # Looked up once rather than for each label: few are sent back.
        return self.valid().exclude(
            pk__in=against.exclude(appeal__answer__verdict=Review.Verdict.ACCEPT).values("annotation")
        )

    def trainable(self) -> AnnotationQuerySet:
        """Standing labels that may train a model.

        Held-out prompts and labelers only judge, a guideline may have put older labels out of use, and what
        came in may have been withdrawn.
        """
        return (
            self.standing()
            .filter(
                prompt_split=Split.TRAIN,
                labeler_group=Split.TRAIN,
                task__gold__isnull=True,
            )
            .exclude(task__prompt__in=Prompt.objects.filter(withdrawn=True))
            .exclude(labeler__in=Import.objects.withdrawn().filter(labeler__isnull=False).values("labeler"))
            .exclude(
                pk__in=Staleness.objects.exclude(treatment=Staleness.Treatment.KEEP).values("annotation")
            )
        )


class Annotation(models.Model):
    """One label. Append-only: a revision names what it supersedes, a withdrawal is an `Invalidation`."""

    submission_id = models.UUIDField(
        unique=True, help_text="made by the client, so that a repeat is harmless"
    )
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
    schema = models.PositiveSmallIntegerField(
        default=1, help_text="version of the answer's form for its kind"
    )
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
    assisted_share = models.FloatField(
        null=True, blank=True, help_text="share of the text that is the model's"
    )
    opened_at = models.DateTimeField()
    first_action_at = models.DateTimeField(null=True, blank=True)
    submitted_at = models.DateTimeField()
    active_seconds = models.FloatField(default=0)

    repeated = False
    """Set on what a submit returns: this label was stored by an earlier one with the same id."""

    attempt: Any = None
    """Set on what a submit returns: the try at a qualification of which it answers a question."""

    objects = AnnotationQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["task", "labeler"], name="annotation_of_task"),
            # Serves `people.progress`: the labels of the last weeks, counted from the index alone.
            models.Index(
                fields=["submitted_at"], include=["task", "labeler", "kind"], name="annotation_by_day"
            ),
        ]

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


class Staleness(models.Model):
    """A label marked as made under an older rule, by which version, and what became of it. Append-only."""

    class Treatment(models.TextChoices):
        KEEP = "keep", "stays in use"
        RELABEL = "relabel", "its task asks for another"
        EXCLUDE = "exclude", "trains nothing"

    annotation = models.ForeignKey(Annotation, on_delete=models.PROTECT, related_name="stale")
    version = models.ForeignKey(GuidelineVersion, on_delete=models.PROTECT, related_name="+")
    treatment = models.CharField(max_length=8, choices=Treatment)
    reason = models.CharField(max_length=500)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "stalenesses"
        constraints = [models.UniqueConstraint(fields=["annotation", "version"], name="stale_once_a_version")]

    def __str__(self) -> str:
        return f"label {self.annotation_id} by version {self.version_id}: {self.treatment}"


class ReviewQuerySet(models.QuerySet["Review"]):
    def in_force(self) -> ReviewQuerySet:
        """Verdicts of reviews that were neither revised nor invalidated."""
        return self.filter(said_in__superseded_by__isnull=True, said_in__invalidation__isnull=True)


class Review(models.Model):
    """What a reviewer decided about one label. Append-only; an appeal is answered by a further one."""

    class Verdict(models.TextChoices):
        ACCEPT = "accept"
        SEND_BACK = "send_back", "send back"

    annotation = models.ForeignKey(Annotation, on_delete=models.PROTECT, related_name="reviews")
    said_in = models.ForeignKey(Annotation, on_delete=models.PROTECT, related_name="verdicts")
    verdict = models.CharField(max_length=10, choices=Verdict)
    reason = models.TextField(blank=True)
    answers = models.OneToOneField(
        "Appeal",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="answer",
        help_text="the appeal it decides",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ReviewQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["annotation", "said_in"], name="review_once_a_label"),
            models.CheckConstraint(
                condition=Q(verdict="accept") | ~Q(reason=""), name="review_sent_back_with_a_reason"
            ),
        ]

    def __str__(self) -> str:
        return f"label {self.annotation_id}: {self.verdict}"


class Appeal(models.Model):
    """Why the author of a label that was sent back thinks that it should stand. Append-only."""

    review = models.OneToOneField(Review, on_delete=models.PROTECT, related_name="appeal")
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.text[:80]


class Dataset(models.Model):
    """A frozen list of labels (or prompts) with weights. Its rows follow from immutable records."""

    class Kind(models.TextChoices):
        DEMONSTRATIONS = "demonstrations"
        PREFERENCES = "preferences"
        RATINGS = "ratings"
        MARKS = "marks"
        PROMPTS = "prompts"

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="datasets")
    number = models.PositiveIntegerField(help_text="counts from 1 within the project")
    kind = models.CharField(max_length=16, choices=Kind)
    filter = models.JSONField(default=dict, help_text="what was asked for")
    size = models.PositiveIntegerField(default=0)
    schema = models.PositiveSmallIntegerField(default=1, help_text="version of its rows' columns")
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
                condition=Q(annotation__isnull=True) ^ Q(prompt__isnull=True),
                name="dataset_item_is_one_thing",
            ),
        ]

    def __str__(self) -> str:
        return f"item {self.ordinal} of dataset {self.dataset_id}"
