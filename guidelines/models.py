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

    ``criteria`` is a list of scales, flags and spans, in the form of `guidelines.criteria`.
    """

    guideline = models.ForeignKey(Guideline, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    body = models.TextField(help_text="Markdown")
    criteria = models.JSONField(default=list, blank=True)
    note = models.CharField(max_length=300, blank=True, help_text="what changed, in one sentence")
    digest = models.CharField(max_length=64, help_text="sha256 of body and criteria")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT)
    published_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["guideline", "number"]
        constraints = [
            models.UniqueConstraint(fields=["guideline", "number"], name="guideline_version_number_once")
        ]

    def __str__(self) -> str:
        return f"{self.guideline.title}, version {self.number}"
