"""Doors to the model: talk with the current checkpoint, ask it for a draft, read what it says so far."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.api import task_forms
from labeling.api.doors import Door
from labeling.talks import model_drafts, replies, talk


class LeaseSay(Door):
    @extend_schema(operation_id="say", request=task_forms.SayForm, responses=task_forms.ReplyForm)
    def post(self, request: Request, lease_id: UUID) -> Response:
        """Say something to the model, after the turns so far; it answers twice, for you to choose.

        409 while it still answers, and where the talk cannot go on.
        """
        said = self.read(task_forms.SayForm)
        reply = talk.say(lease_id=lease_id, labeler=self.labeler, text=said["text"], chosen=said["turns"])
        return Response(replies.described([reply])[0])


class LeaseDraftReply(Door):
    @extend_schema(operation_id="ask_for_draft", request=None, responses=task_forms.ReplyForm)
    def post(self, request: Request, lease_id: UUID) -> Response:
        """Ask the model for a draft of the demonstration, where the project offers it; it stays the same."""
        return Response(replies.described([model_drafts.ask(lease_id=lease_id, labeler=self.labeler)])[0])


class LeaseReply(Door):
    @extend_schema(operation_id="get_reply", responses=task_forms.ReplyForm)
    def get(self, request: Request, lease_id: UUID, number: int) -> Response:
        """What the model says so far, or why it does not."""
        reply = replies.find(lease_id=lease_id, labeler=self.labeler, number=number)
        return Response(replies.described([reply])[0])
