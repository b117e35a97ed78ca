"""Messages to labelers: written by who runs or reviews a project, they wait on the first page until read."""

from __future__ import annotations

from collections import defaultdict

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from labeling import live
from labeling.content.texts import unstorable
from labeling.faults import FieldError
from labeling.models import Labeler, Membership, Message

LONGEST = 2000
MOST_LISTED = 20


class MessageError(FieldError):
    """A message that cannot be sent; ``field`` names what to mend."""


def send(*, sender: Membership, labeler: Labeler, text: str) -> Message:
    """Write to a member of the sender's project.

    Raises:
        MessageError: no text, one too long, or somebody who would not read it here.
    """
    if not text.strip():
        raise MessageError("text", "Write what they should know.")
    if len(text) > LONGEST:
        raise MessageError("text", f"The message has {len(text):,} characters; the most is {LONGEST:,}.")
    if fault := unstorable(text):
        raise MessageError("text", fault)
    project = sender.project
    if not (labeler.user_id and Membership.objects.filter(project=project, user=labeler.user_id).exists()):
        raise MessageError("labeler", f"{labeler.name} is not, or no longer, a member of {project.name}.")
    with transaction.atomic():
        made = Message.objects.create(project=project, labeler=labeler, actor=sender.user, text=text.strip())
        live.announce(project=project, event="message", told=[str(labeler.pk)])
    return made


def read(*, message_id: int, labeler: Labeler) -> Message:
    """Put a message away; one that was read stays so.

    Raises:
        Message.DoesNotExist: none to this labeler.
    """
    Message.objects.filter(pk=message_id, labeler=labeler, read_at=None).update(read_at=timezone.now())
    return Message.objects.get(pk=message_id, labeler=labeler)


def unread(labeler: Labeler, user: User) -> dict[int, list[Message]]:
    """What waits to be read, oldest first, by the project's id, of projects that ``user`` is a member of."""
    found = Message.objects.filter(labeler=labeler, read_at=None, project__memberships__user=user)
    by_project: dict[int, list[Message]] = defaultdict(list)
    for message in found.select_related("actor", "project").order_by("pk")[:MOST_LISTED]:
        by_project[message.project_id].append(message)
    return by_project
