"""Guidelines: what labelers are asked to do, in numbered versions that never change."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Guideline(models.Model):
    slug = models.SlugField(unique=True)
    title = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.title

    @property
    def current(self) -> GuidelineVersion | None:
        """The newest published version."""
        return self.versions.order_by("-number").first()


class GuidelineVersion(models.Model):
    """One published text with its criteria. A database trigger refuses any change to it.

    ``criteria`` is a list of scales, flags and spans, in the form of `guidelines.criteria`; ``examples`` and
    ``rules`` are in the form of `guidelines.parts`.
    """

    class Change(models.TextChoices):
        """What a version changes, from the least that it asks of anybody to the most."""

        TYPO = "typo"
        WORDING = "wording"
        EXAMPLE = "example"
        CRITERION = "criterion"
        RULE = "rule", "priority rule"

    guideline = models.ForeignKey(Guideline, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    body = models.TextField(help_text="Markdown")
    criteria = models.JSONField(default=list, blank=True)
    examples = models.JSONField(
        default=list, db_default=[], blank=True, help_text="good and bad answers with the reason"
    )
    rules = models.JSONField(
        default=list, db_default=[], blank=True, help_text="what goes before what, first rule first"
    )
    note = models.CharField(max_length=300, blank=True, help_text="what changed, in one sentence")
    change = models.CharField(
        max_length=10, choices=Change, blank=True, db_default="", help_text="blank for a first version"
    )
    asks = models.BooleanField(
        default=False,
        db_default=False,
        help_text="whoever works is shown what changed, and says that they read it, first",
    )
    plan = models.JSONField(
        default=dict,
        db_default={},
        blank=True,
        help_text="what the publisher chose to do with older labels",
    )
    digest = models.CharField(max_length=64, help_text="sha256 of body, criteria, examples and rules")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT)
    published_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["guideline", "number"]
        constraints = [
            models.UniqueConstraint(fields=["guideline", "number"], name="guideline_version_number_once")
        ]

    def __str__(self) -> str:
        return f"{self.guideline.title}, version {self.number}"


class GuidelineDraft(models.Model):
    """The next version as one author is writing it; ``version`` catches two tabs writing at once."""

    guideline = models.ForeignKey(Guideline, on_delete=models.CASCADE, related_name="drafts")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    based_on = models.PositiveIntegerField(
        default=0, help_text="number of the version it changes; 0 for none"
    )
    body = models.TextField(blank=True)
    criteria = models.JSONField(default=list, blank=True)
    examples = models.JSONField(default=list, blank=True)
    rules = models.JSONField(default=list, blank=True)
    note = models.CharField(max_length=300, blank=True)
    version = models.PositiveIntegerField(default=1)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["guideline", "author"], name="guideline_draft_once")]

    def __str__(self) -> str:
        return f"draft on version {self.based_on} of guideline {self.guideline_id}"


class Acknowledgement(models.Model):
    """Somebody says that they read a version. Append-only."""

    version = models.ForeignKey(GuidelineVersion, on_delete=models.PROTECT, related_name="acknowledgements")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "user"], name="acknowledged_once")]

    def __str__(self) -> str:
        return f"version {self.version_id} read by {self.user_id}"
