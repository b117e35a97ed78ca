"""The registry of checkpoints; their files lie in the store (`models_zoo.store`)."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import models


class Checkpoint(models.Model):
    """A model that was trained or registered, in Hugging Face layout.

    It has no key to the run that made it: lineage is walked from `rlhf`.
    """

    class Kind(models.TextChoices):
        BASE = "base"
        SFT = "sft"
        REWARD = "reward", "reward model"
        POLICY = "policy"

    name = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=10, choices=Kind)
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="children"
    )
    digest = models.CharField(
        max_length=80, db_index=True, help_text="sha256 of weights, tokenizer and config"
    )
    folder = models.CharField(max_length=500, help_text="relative to the state folder")
    licence = models.CharField(max_length=120, blank=True)
    figures = models.JSONField(default=dict, blank=True, help_text="what its training measured")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> Path:
        """The checkpoint's folder on this machine."""
        return settings.HOME / self.folder
