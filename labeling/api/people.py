"""Doors to the people of a project: invitations, members, messages, and taking their labels out of use."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from guidelines.models import GuidelineVersion
from labeling.api import people_forms as forms
from labeling.api.doors import Door
from labeling.models import Invitation, Labeler, Membership, Message
from labeling.people import erasure, invalidate, invitations, members, messages, passwords, roster
from labeling.people.invitations import Made


class People(Door):
    @extend_schema(operation_id="list_people", parameters=[forms.RosterQueryForm], responses=forms.RosterForm)
    def get(self, request: Request, slug: str) -> Response:
        """Who works in the project, by name, with what they did. Owners and admins only."""
        project = self.manager(slug).project
        found = roster.roster(project=project, **self.query(forms.RosterQueryForm))
        pages, results = found.paginator.num_pages, [one.as_dict() for one in found]
        return Response({"page": found.number, "pages": pages, "results": results})


class PersonDoor(Door):
    """A door to one person of a project."""

    def labeler_of(self, manager: Membership, labeler_id: UUID) -> Labeler:
        return members.labelers_of(manager.project).select_related("user").get(pk=labeler_id)

    def shown(self, manager: Membership, labeler_id: UUID) -> Response:
        return Response(roster.person(project=manager.project, labeler_id=labeler_id).as_dict())


class OnePerson(PersonDoor):
    @extend_schema(operation_id="show_person", responses=forms.PersonForm)
    def get(self, request: Request, slug: str, labeler_id: UUID) -> Response:
        """A member, or somebody who left labels."""
        return self.shown(self.manager(slug), labeler_id)

    @extend_schema(operation_id="change_member", request=forms.MemberChangeForm, responses=forms.PersonForm)
    def patch(self, request: Request, slug: str, labeler_id: UUID) -> Response:
        """Change a role, group, languages or skills, or pause and resume; what is left out stays."""
        manager, asked = self.manager(slug), self.read(forms.MemberChangeForm)
        labeler = self.labeler_of(manager, labeler_id)
        paused = asked.pop("paused", None)
        members.change(manager=manager, labeler=labeler, **asked)
        if paused is not None:
            members.pause(manager=manager, labeler=labeler, paused=paused)
        return self.shown(manager, labeler_id)

    @extend_schema(operation_id="end_membership", responses=forms.EndedForm)
    def delete(self, request: Request, slug: str, labeler_id: UUID) -> Response:
        """End a membership: open leases are given back, labels and drafts stay."""
        manager = self.manager(slug)
        given_back = members.end(manager=manager, labeler=self.labeler_of(manager, labeler_id))
        return Response({"leases_given_back": given_back})


class PersonReset(PersonDoor):
    @extend_schema(operation_id="reset_password", request=None, responses={201: forms.LinkForm})
    def post(self, request: Request, slug: str, labeler_id: UUID) -> Response:
        """A link, good once and for three days, by which a member chooses a new password."""
        manager = self.manager(slug)
        path = passwords.reset_path(manager=manager, labeler=self.labeler_of(manager, labeler_id))
        return Response({"link": request.build_absolute_uri(path)}, status=201)


class PersonPseudonym(PersonDoor):
    @extend_schema(operation_id="give_pseudonym", request=forms.PseudonymForm, responses=forms.PersonForm)
    def put(self, request: Request, slug: str, labeler_id: UUID) -> Response:
        """Call a labeler by another name from now on, on pages and in files."""
        manager, asked = self.manager(slug), self.read(forms.PseudonymForm)
        erasure.rename(manager=manager, labeler=self.labeler_of(manager, labeler_id), **asked)
        return self.shown(manager, labeler_id)


class PersonErase(PersonDoor):
    @extend_schema(operation_id="erase_person", request=forms.EraseForm, responses=forms.ErasedForm)
    def post(self, request: Request, slug: str, labeler_id: UUID) -> Response:
        """Forget a person for good. Their labels stay, under a pseudonym."""
        manager, asked = self.manager(slug), self.read(forms.EraseForm)
        gone = erasure.erase(manager=manager, labeler=self.labeler_of(manager, labeler_id), **asked)
        return Response({"id": gone.pk, "name": gone.name})


class Invitations(Door):
    @extend_schema(operation_id="list_invitations", responses=forms.InvitationListForm)
    def get(self, request: Request, slug: str) -> Response:
        """Links that were made, newest first, with what they are good for now."""
        project = self.manager(slug).project
        rows = Invitation.objects.filter(project=project)[: forms.MOST_INVITATIONS]
        return Response({"results": [_described(row) for row in rows]})

    @extend_schema(operation_id="invite", request=forms.InviteForm, responses={201: forms.InvitationMadeForm})
    def post(self, request: Request, slug: str) -> Response:
        """Make a link that makes members; it is shown this once."""
        manager, asked = self.manager(slug), self.read(forms.InviteForm)
        return Response(_made(request, invitations.invite(manager=manager, **asked)), status=201)


class InvitationsCsv(Door):
    @extend_schema(
        operation_id="invite_many",
        request=forms.InviteManyForm,
        responses={201: forms.InvitationsMadeForm},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Make a link for each row of a CSV; rows refused are listed with their line and why."""
        manager, asked = self.manager(slug), self.read(forms.InviteManyForm)
        text = asked.pop("csv")
        batch = invitations.invite_many(manager=manager, text=text, **asked)
        made = [_made(request, one) for one in batch.made]
        return Response({"made": made, "refused": batch.refused}, status=201)


class OneInvitation(Door):
    @extend_schema(operation_id="revoke_invitation", responses=forms.InvitationForm)
    def delete(self, request: Request, slug: str, invitation_id: int) -> Response:
        """End a link; its row stays."""
        revoked = invitations.revoke(manager=self.manager(slug), invitation_id=invitation_id)
        return Response(_described(revoked))


class Join(Door):
    @extend_schema(operation_id="join_project", request=forms.JoinForm, responses=forms.JoinedForm)
    def post(self, request: Request) -> Response:
        """Become a member by the secret at the end of a link."""
        member = invitations.accept(secret=self.read(forms.JoinForm)["secret"], user=self.user)
        return Response({"project": member.project.slug, "role": member.role, "group": member.group})


class Messages(Door):
    @extend_schema(operation_id="list_messages", responses=forms.NoteListForm)
    def get(self, request: Request) -> Response:
        """Messages to oneself that wait to be read, oldest first."""
        waiting = messages.unread(self.labeler, self.user)
        return Response({"results": [_message(one) for some in waiting.values() for one in some]})


class ProjectMessages(Door):
    @extend_schema(operation_id="send_message", request=forms.NoteForm, responses={201: forms.NoteSentForm})
    def post(self, request: Request, slug: str) -> Response:
        """Write to a labeler. Reviewers, admins and owners only."""
        sender, asked = self.member(slug), self.read(forms.NoteForm)
        if not sender.reviews:
            raise PermissionDenied("Only a reviewer, admin or owner of the project writes to labelers.")
        labeler = members.labelers_of(sender.project).get(pk=asked["labeler"])
        return Response(
            _message(messages.send(sender=sender, labeler=labeler, text=asked["text"])), status=201
        )


class MessageRead(Door):
    @extend_schema(operation_id="read_message", request=None, responses=forms.NoteSentForm)
    def post(self, request: Request, message_id: int) -> Response:
        """Put a message to oneself away."""
        return Response(_message(messages.read(message_id=message_id, labeler=self.labeler)))


class Invalidations(PersonDoor):
    @extend_schema(
        operation_id="preview_invalidation",
        parameters=[forms.ChoiceForm],
        responses=forms.InvalidationPreviewForm,
    )
    def get(self, request: Request, slug: str) -> Response:
        """What taking labels out of use would touch; nothing is changed. Owners and admins only."""
        manager = self.manager(slug)
        found = invalidate.preview(self.choice(manager, self.query(forms.ChoiceForm)), membership=manager)
        return Response({**asdict(found), "radius": asdict(found.radius)})

    @extend_schema(
        operation_id="invalidate_labels",
        request=forms.InvalidateManyForm,
        responses=forms.InvalidatedManyForm,
    )
    def post(self, request: Request, slug: str) -> Response:
        """Take a person's or a guideline version's labels out of use; 0 where nothing was left to do."""
        manager, asked = self.manager(slug), self.read(forms.InvalidateManyForm)
        reason = asked.pop("reason")
        done = invalidate.invalidate(self.choice(manager, asked), manager=manager, reason=reason)
        return Response(asdict(done))

    def choice(self, manager: Membership, asked: dict[str, Any]) -> invalidate.Choice:
        """The labels that are meant.

        Raises:
            Labeler.DoesNotExist, GuidelineVersion.DoesNotExist: none of the project's.
        """
        if labeler := asked.pop("labeler", None):
            asked["labeler"] = self.labeler_of(manager, labeler)
        if number := asked.pop("version", None):
            versions = GuidelineVersion.objects.filter(guideline=manager.project.guideline_id)
            asked["version"] = versions.get(number=number)
        return invalidate.Choice(**asked)


def _described(invitation: Invitation) -> dict[str, Any]:
    return {
        "id": invitation.pk,
        "begins_with": invitation.prefix,
        "state": invitations.state_of(invitation).value,
        "name": invitation.name,
        "role": invitation.role,
        "group": invitation.group,
        "languages": invitation.languages,
        "skills": invitation.skills,
        "uses": invitation.uses,
        "most_uses": invitation.most_uses,
        "expires_at": invitation.expires_at,
    }


def _made(request: Request, made: Made) -> dict[str, Any]:
    link = request.build_absolute_uri(reverse("labeling:join", args=[made.secret]))
    return {**_described(made.invitation), "link": link}


def _message(message: Message) -> dict[str, Any]:
    return {
        "id": message.pk,
        "project": message.project.slug,
        "text": message.text,
        "from": message.actor and message.actor.get_username(),
        "at": message.created_at,
        "read_at": message.read_at,
    }
