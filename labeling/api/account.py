"""Doors to what a person chose for themselves."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from labeling import keys
from labeling.api import forms
from labeling.api.doors import Door
from labeling.models import AccountSettings


class Keys(Door):
    @extend_schema(operation_id="show_keys", responses=forms.KeysForm)
    def get(self, request: Request) -> Response:
        """Whether single keys act on the work page, and those chosen in place of the delivered ones."""
        return _shown(keys.settings_of(self.user))

    @extend_schema(operation_id="choose_keys", request=forms.KeysForm, responses=forms.KeysForm)
    def put(self, request: Request) -> Response:
        """Choose keys: `keys` replaces all earlier choices; a field left out stays as it was."""
        return _shown(keys.choose(user=self.user, **self.read(forms.KeysForm)))


def _shown(chosen: AccountSettings) -> Response:
    return Response({"single_keys": chosen.single_keys, "keys": chosen.keys})
