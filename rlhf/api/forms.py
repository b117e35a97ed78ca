"""The bodies of the API of training: those that come in are checked here, the others are for the schema."""

from __future__ import annotations

from rest_framework import serializers

from labeling.api.forms import CheckpointRefForm, Form, PageForm, Rest
from models_zoo.models import Checkpoint
from rlhf.models import Round, RoundStep, Run
from rlhf.trainers.knobs import ALGORITHMS


class NewRunForm(Form):
    algorithm = serializers.ChoiceField(choices=sorted(ALGORITHMS))
    inputs = serializers.DictField(child=serializers.CharField(), help_text="name of a checkpoint by role")
    dataset = serializers.IntegerField(required=False, help_text="number of a frozen dataset")
    prompts = serializers.IntegerField(
        default=1_000, min_value=1, max_value=100_000, help_text="for ppo and sample without a dataset"
    )
    knobs = serializers.DictField(required=False)
    seed = serializers.IntegerField(default=1, min_value=0, max_value=2**31 - 1)


class NewRoundForm(Form):
    kind = serializers.ChoiceField(choices=Round.Kind.choices, required=False)
    label_target = serializers.IntegerField(required=False, min_value=1, max_value=10_000_000)


class StartForm(Form):
    force = serializers.BooleanField(default=False)


class RestartForm(Form):
    step = serializers.CharField(required=False, max_length=20)
    knobs = serializers.DictField(required=False, help_text="for this step, this time")
    force = serializers.BooleanField(required=False)


class ReasonForm(Form):
    reason = serializers.CharField(required=False, allow_blank=True, max_length=2_000)


class SinceForm(serializers.Serializer[dict[str, int]]):
    since = serializers.IntegerField(required=False, min_value=-1, max_value=2**31 - 1)


class StepForm(serializers.Serializer[dict[str, int]]):
    step = serializers.IntegerField(required=False, min_value=0)
    most = serializers.IntegerField(default=64, min_value=1, max_value=1_000)


class ProgressForm(Rest):
    step = serializers.IntegerField()
    of = serializers.IntegerField()
    eta_s = serializers.FloatField(allow_null=True)


class RunForm(Rest):
    id = serializers.UUIDField()
    project = serializers.SlugField(allow_null=True)
    round = serializers.IntegerField(allow_null=True)
    algorithm = serializers.CharField()
    state = serializers.ChoiceField(choices=Run.State.choices)
    knobs = serializers.DictField()
    seed = serializers.IntegerField()
    inputs = serializers.DictField(child=CheckpointRefForm())
    dataset = serializers.IntegerField(allow_null=True)
    output = CheckpointRefForm(allow_null=True)
    result = serializers.DictField()
    error = serializers.CharField()
    attempts = serializers.IntegerField()
    cpu_seconds = serializers.FloatField(allow_null=True)
    progress = ProgressForm(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class RunPageForm(PageForm):
    results = RunForm(many=True)


class MetricForm(Rest):
    n = serializers.IntegerField(help_text="counts from 0, across resumes")
    step = serializers.IntegerField()
    superseded = serializers.BooleanField(help_text="from before a resume that went back")


class MetricListForm(Rest):
    metrics = MetricForm(many=True, help_text="with what the trainer measured as further fields")
    state = serializers.ChoiceField(choices=Run.State.choices)
    progress = ProgressForm(allow_null=True)


class RolloutForm(Rest):
    step = serializers.IntegerField()
    prompt = serializers.JSONField()
    completion = serializers.CharField()
    reward = serializers.FloatField()
    kl = serializers.FloatField()
    value = serializers.FloatField()
    length = serializers.IntegerField()
    finished = serializers.BooleanField()


class RolloutListForm(Rest):
    rollouts = RolloutForm(many=True)


class RoundStepForm(Rest):
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=RoundStep.State.choices)
    run = serializers.UUIDField(allow_null=True)
    dataset = serializers.IntegerField(allow_null=True)
    detail = serializers.CharField(help_text="what came of it, in a sentence")
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class RoundForm(Rest):
    id = serializers.IntegerField()
    project = serializers.SlugField()
    number = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Round.Kind.choices)
    state = serializers.ChoiceField(choices=Round.State.choices)
    labels = serializers.IntegerField(help_text="that would train in this round and no earlier one did")
    label_target = serializers.IntegerField()
    open_tasks = serializers.IntegerField()
    due = serializers.BooleanField(help_text="waits for somebody to start it")
    forced = serializers.BooleanField()
    guideline_version = serializers.IntegerField(allow_null=True)
    checkpoint_before = CheckpointRefForm(allow_null=True)
    checkpoint_after = CheckpointRefForm(allow_null=True)
    decision = serializers.ChoiceField(choices=Round.Decision.choices)
    gated = serializers.BooleanField(help_text="decided by a test on fresh prompts, not by hand")
    reason = serializers.CharField()
    steps = RoundStepForm(many=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class RoundPageForm(PageForm):
    results = RoundForm(many=True)


class CheckpointForm(Rest):
    id = serializers.IntegerField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=Checkpoint.Kind.choices)
    parent = CheckpointRefForm(allow_null=True)
    digest = serializers.CharField()
    licence = serializers.CharField()
    figures = serializers.DictField()
    created_at = serializers.DateTimeField()


class CheckpointPageForm(PageForm):
    results = CheckpointForm(many=True)
