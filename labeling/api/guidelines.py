"""The door to a guideline's versions."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from guidelines import criteria, publish, readers
from labeling.api import forms
from labeling.api.doors import Door


class Versions(Door):
    @extend_schema(
        operation_id="publish_guideline", request=forms.PublishForm, responses={201: forms.PublishedForm}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Publish the next version. Its criteria are those given, a preset's, or the newest version's."""
        reading = readers.read_to_publish(user=self.user, slug=slug)
        asked = self.read(forms.PublishForm)
        if preset := asked.pop("preset", None):
            asked["criteria"] = criteria.preset(preset)
        version, done = publish.publish(guideline=reading.guideline, author=self.user, **asked)
        body = {"id": version.pk, "guideline": slug, "number": version.number, "effects": done}
        return Response(body, status=201)
