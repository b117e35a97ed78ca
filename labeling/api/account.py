"""Doors to what a person chose for themselves."""

from __future__ import annotations

from dataclasses import asdict

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.api import forms
from labeling.api.doors import Door
from labeling.content import sensitive_content
from labeling.models import AccountSettings
from labeling.people import keys


class Keys(Door):
    @extend_schema(operation_id="show_keys", responses=forms.KeysForm)
    def get(self, request: Request) -> Response:
        """Whether single keys act on the work page, and those chosen in place of the delivered ones."""
        return _shown(keys.settings_of(self.user))

    @extend_schema(operation_id="choose_keys", request=forms.KeysForm, responses=forms.KeysForm)
    def put(self, request: Request) -> Response:
        """Choose keys: `keys` replaces all earlier choices; a field left out stays as it was."""
        return _shown(keys.choose(user=self.user, **self.read(forms.KeysForm)))


class Reading(Door):
    @extend_schema(operation_id="show_reading", responses=forms.ReadingForm)
    def get(self, request: Request) -> Response:
        """How one reads tasks that are marked as sensitive."""
        return Response(asdict(sensitive_content.choice_of(self.user)))

    @extend_schema(operation_id="choose_reading", request=forms.ReadingForm, responses=forms.ReadingForm)
    def put(self, request: Request) -> Response:
        """Show them uncovered, or be given none; a field left out stays as it was."""
        asked = self.read(forms.ReadingForm)
        return Response(asdict(sensitive_content.choose(user=self.user, **asked)))


def _shown(chosen: AccountSettings) -> Response:
    return Response({"single_keys": chosen.single_keys, "keys": chosen.keys})
