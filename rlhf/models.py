"""The nouns of training: runs and their numbered metrics, rounds and their steps."""

from __future__ import annotations

import uuid
from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models import Q

from guidelines.models import GuidelineVersion
from labeling.models import Dataset, Project
from models_zoo.models import Checkpoint


class Loop(models.Model):
    """How a project's rounds go: when one is due and with what knobs."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="loop")
    label_target = models.PositiveIntegerField(default=15, help_text="labels that make a round due")
    tasks_per_round = models.PositiveIntegerField(default=15, help_text="ranking tasks made after training")
    k = models.PositiveSmallIntegerField(default=4, help_text="completions to rank in each task")
    temperature = models.FloatField(default=1.0)
    max_new_tokens = models.PositiveIntegerField(default=72)
    auto_start = models.BooleanField(default=False, help_text="train at the target without a press")
    knobs = models.JSONField(default=dict, blank=True, help_text='{"ppo": {"updates": 40}, …}')

    def __str__(self) -> str:
        return f"loop of {self.project}"


class Round(models.Model):
    """One turn of the loop, from labels to a checkpoint whose answers are back in the queue."""

    class Kind(models.TextChoices):
        DEMONSTRATIONS = "demonstrations"
        PREFERENCES = "preferences"

    class State(models.TextChoices):
        LABELING = "labeling"
        TRAINING = "training"
        STOPPED = "stopped"
        DONE = "done"

    class Decision(models.TextChoices):
        NONE = "", "none yet"
        PROMOTED = "promoted"
        REFUSED = "refused"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="rounds")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=16, choices=Kind)
    state = models.CharField(max_length=10, choices=State, default=State.LABELING)
    guideline_version = models.ForeignKey(
        GuidelineVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    label_target = models.PositiveIntegerField()
    seed = models.BigIntegerField(default=1)
    forced = models.BooleanField(default=False, help_text="train the policy even on a weak reward model")
    checkpoint_before = models.ForeignKey(
        Checkpoint, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    checkpoint_after = models.ForeignKey(
        Checkpoint, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    decision = models.CharField(max_length=10, choices=Decision, default=Decision.NONE, blank=True)
    gated = models.BooleanField(default=False, help_text="decided by a test on fresh prompts, not by hand")
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    reason = models.TextField(blank=True, help_text="why it stopped, or was decided so")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="round_number_once"),
            models.UniqueConstraint(
                fields=["project"], condition=Q(state="training"), name="one_training_round_a_project"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project.slug} round {self.number}"


class Run(models.Model):
    """One execution of a trainer (or of the sampler) on a run directory."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        STOPPED = "stopped"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, null=True, blank=True, on_delete=models.PROTECT, related_name="runs")
    round = models.ForeignKey(Round, null=True, blank=True, on_delete=models.PROTECT, related_name="runs")
    algorithm = models.CharField(max_length=20)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    config = models.JSONField(default=dict, help_text="as written to config.json")
    code_version = models.CharField(max_length=80, blank=True)
    dataset = models.ForeignKey(Dataset, null=True, blank=True, on_delete=models.PROTECT, related_name="runs")
    output = models.OneToOneField(
        Checkpoint, null=True, blank=True, on_delete=models.PROTECT, related_name="made_by"
    )
    result = models.JSONField(default=dict, blank=True)
    error = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    pid = models.PositiveIntegerField(null=True, blank=True)
    cpu_seconds = models.FloatField(null=True, blank=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.algorithm} run {str(self.pk)[:8]}"

    @property
    def directory(self) -> Path:
        """The run directory on this machine."""
        return settings.HOME / "runs" / str(self.pk)


class RunInput(models.Model):
    """A checkpoint that a run started from, by its role: policy, reference, reward_model, base."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="inputs")
    role = models.CharField(max_length=20)
    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="used_by")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "role"], name="run_input_role_once")]

    def __str__(self) -> str:
        return f"{self.role}: {self.checkpoint}"


class Metric(models.Model):
    """One line of a run's metrics.jsonl; numbered, so that a page can ask for what came since N."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="metrics")
    n = models.PositiveIntegerField()
    step = models.PositiveIntegerField(default=0)
    values = models.JSONField()
    superseded = models.BooleanField(default=False, help_text="from before a resume that went back")

    class Meta:
        ordering = ["n"]
        constraints = [models.UniqueConstraint(fields=["run", "n"], name="metric_number_once")]

    def __str__(self) -> str:
        return f"metric {self.n}"


class RoundStep(models.Model):
    """One step of a round: freeze, sft, reward, ppo, sample, evaluate or tasks."""

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="steps")
    ordinal = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=20)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    dataset = models.ForeignKey(Dataset, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    knobs = models.JSONField(default=dict, blank=True, help_text="over the project's, for this time only")
    detail = models.TextField(blank=True, help_text="what came of it, in a sentence")
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["ordinal"]
        constraints = [models.UniqueConstraint(fields=["round", "ordinal"], name="round_step_once")]

    def __str__(self) -> str:
        return f"{self.name} of {self.round}"
