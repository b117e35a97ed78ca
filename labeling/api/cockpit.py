"""The door to how a project comes along."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.api.doors import Door
from labeling.api.forms import Rest
from labeling.people import progress


class DayForm(Rest):
    day = serializers.DateField()
    labels = serializers.IntegerField()
    kinds = serializers.DictField(child=serializers.IntegerField())


class OpenForm(Rest):
    kind = serializers.CharField()
    tasks = serializers.IntegerField()
    labels = serializers.IntegerField(help_text="that those tasks still want")


class PaceForm(Rest):
    labels = serializers.FloatField(help_text="a day, over the last 14 days at most")
    low = serializers.FloatField(help_text="of a 90 % interval")
    high = serializers.FloatField()


class FinishForm(Rest):
    days = serializers.FloatField(allow_null=True, help_text="until nothing is open, at this pace")
    soonest = serializers.FloatField(allow_null=True)
    latest = serializers.FloatField(allow_null=True, help_text="null where the pace may be as good as none")
    words = serializers.CharField()


class ActiveForm(Rest):
    name = serializers.CharField()
    week = serializers.IntegerField(help_text="labels of the last seven days")
    labels = serializers.IntegerField(help_text="of the last 28")


class CostForm(Rest):
    name = serializers.CharField()
    kind = serializers.CharField(help_text="empty for corrections of a day")
    labels = serializers.IntegerField()
    seconds = serializers.IntegerField()
    amount = serializers.FloatField()


class ProjectProgressForm(Rest):
    today = serializers.DateField()
    days = DayForm(many=True)
    open = OpenForm(many=True)
    in_hand = serializers.IntegerField()
    pace = PaceForm(allow_null=True)
    finish = FinishForm()
    people = ActiveForm(many=True)
    seconds = serializers.IntegerField(help_text="of the last 28 days, corrections included")
    cost = serializers.FloatField()
    currency = serializers.CharField()
    costs = CostForm(many=True)


class ProjectProgress(Door):
    @extend_schema(operation_id="get_progress", responses=ProjectProgressForm)
    def get(self, request: Request, slug: str) -> Response:
        """Labels a day, what is open, when it is done, hours and cost. Owners and admins only."""
        return Response(progress.as_dict(progress.progress(project=self.manager(slug).project)))
