"""The doors to a guideline: its draft, what publishing would do, its versions, and who read them."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from guidelines import acknowledgements, drafts, plan, presets, publish, readers
from guidelines.parts import Parts
from labeling.api import forms
from labeling.api.doors import Door

PLAN = ("change", "asks", "labels", "share", "seed")


class Versions(Door):
    @extend_schema(
        operation_id="publish_guideline", request=forms.PublishForm, responses={201: forms.PublishedForm}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Publish the next version and carry its plan out. 409 with `newest` where another was published.

        Criteria, examples and rules are those given, a preset's, or the newest version's.
        """
        reading = readers.read_to_publish(user=self.user, slug=slug)
        asked = _asked(self.read(forms.PublishForm))
        version, done = publish.publish(guideline=reading.guideline, author=self.user, **asked)
        body = {"id": version.pk, "guideline": slug, "number": version.number, "effects": done}
        return Response(body, status=201)


class VersionsPreview(Door):
    @extend_schema(operation_id="preview_guideline", request=forms.PublishForm, responses=forms.PreviewedForm)
    def post(self, request: Request, slug: str) -> Response:
        """What publishing this would do now, in sentences and numbers. Nothing is stored."""
        reading = readers.read_to_publish(user=self.user, slug=slug)
        asked = _asked(self.read(forms.PublishForm))
        asked.pop("based_on", None)
        proposal = publish.propose(guideline=reading.guideline, **asked)
        effects = [
            {"name": one.name, "sentence": one.sentence, "count": one.count}
            for one in publish.preview(proposal)
        ]
        return Response(
            {
                "number": proposal.number,
                "change": proposal.plan.change,
                "least_change": plan.least(proposal.difference),
                "seed": proposal.plan.seed,
                "effects": effects,
            }
        )


class VersionAcknowledge(Door):
    @extend_schema(
        operation_id="acknowledge_guideline", request=None, responses={201: forms.AcknowledgedForm}
    )
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Say that you read this version: the next task is yours then, where it asks to be read first."""
        reading = readers.read(user=self.user, slug=slug)
        version = get_object_or_404(reading.guideline.versions, number=number)
        said = acknowledgements.acknowledge(version=version, user=self.user)
        return Response({"guideline": slug, "number": version.number, "at": said.at}, status=201)


class OwnDraft(Door):
    @extend_schema(operation_id="get_guideline_draft", responses=forms.GuidelineDraftForm)
    def get(self, request: Request, slug: str) -> Response:
        """Your draft of the next version. 404 where there is none."""
        reading = readers.read_to_publish(user=self.user, slug=slug)
        return Response(drafts.as_dict(reading.guideline.drafts.get(author=self.user)))

    @extend_schema(
        operation_id="save_guideline_draft",
        request=forms.GuidelineDraftForm,
        responses=forms.SavedGuidelineDraftForm,
    )
    def put(self, request: Request, slug: str) -> Response:
        """Keep what is being written. 409 with `stored` where another window saved since."""
        reading = readers.read_to_publish(user=self.user, slug=slug)
        asked = self.read(forms.GuidelineDraftForm)
        own = {name: asked.pop(name, []) for name in ("criteria", "examples", "rules")}
        parts = Parts(body=asked.pop("body"), **own)
        draft = drafts.save(guideline=reading.guideline, author=self.user, parts=parts, **asked)
        return Response({"version": draft.version, "saved_at": draft.updated_at})

    @extend_schema(operation_id="discard_guideline_draft", responses={204: None})
    def delete(self, request: Request, slug: str) -> Response:
        """Throw your draft away."""
        reading = readers.read_to_publish(user=self.user, slug=slug)
        drafts.discard(guideline=reading.guideline, author=self.user)
        return Response(status=204)


def _asked(asked: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `publish.publish`: the plan put together, a preset filled in."""
    asked["plan"] = publish.Plan(**{name: asked.pop(name) for name in PLAN if name in asked})
    if name := asked.pop("preset", None):
        preset = presets.preset(name).parts
        asked["criteria"] = preset.criteria
        if "body" not in asked:
            asked = {"body": preset.body, "examples": preset.examples, "rules": preset.rules} | asked
    return asked
