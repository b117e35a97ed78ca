"""Pseudonyms and erasure: what is known of a person goes, their labels stay.

A labeler with a pseudonym is called by it on every page and in every file. Erasing a person empties the
account rather than deleting the row, since published guidelines name their author for good; what the row then
holds says nothing about anybody. The audit log keeps every deed and forgets the name
(`docs/decisions/0015-erasure.md`).
"""

from __future__ import annotations

from allauth.account.models import EmailAddress
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction

from guidelines.models import GuidelineDraft
from labeling import fit, live, queue
from labeling.content.texts import unstorable
from labeling.models import (
    AccountSettings,
    ApiToken,
    AuditEntry,
    Draft,
    Invitation,
    Labeler,
    Membership,
    Message,
)
from labeling.people import audit, members
from labeling.people.members import MemberError

LONGEST = 150

# The trigger on the log lets a name change to a pseudonym while these two are set, and nothing else.
_FORGET = """
select set_config('tutelage.erased_name', %(name)s, true),
    set_config('tutelage.pseudonym', %(pseudonym)s, true);
update labeling_auditentry set actor_name = %(pseudonym)s where actor_id = %(user)s and actor_name = %(name)s;
update labeling_auditentry set target = left(target, length(target) - length(%(name)s)) || %(pseudonym)s
where right(target, length(%(name)s) + 1) = ' ' || %(name)s;
select set_config('tutelage.erased_name', '', true), set_config('tutelage.pseudonym', '', true);
"""


def rename(*, manager: Membership, labeler: Labeler, name: str) -> Labeler:
    """Give a labeler a pseudonym, by which pages and files call them from now on.

    Raises:
        Membership.DoesNotExist, PermissionDenied: as `members.found`.
        MemberError: no name, one too long, or one that somebody has.
    """
    name = name.strip()
    if not 0 < len(name) <= LONGEST:
        raise MemberError("name", f"Give a name of 1 to {LONGEST} characters.")
    if fault := unstorable(name):
        raise MemberError("name", fault)
    members.found(manager=manager, labeler=labeler)
    with transaction.atomic():
        locked = Labeler.objects.select_for_update(no_key=True).get(pk=labeler.pk)
        others = Labeler.objects.filter(name__iexact=name).exclude(pk=labeler.pk)
        accounts = User.objects.filter(username__iexact=name).exclude(pk=labeler.user_id)
        if others.exists() or accounts.exists():
            raise MemberError("name", "Somebody has this name already. Choose another.")
        locked.name = name
        locked.save(update_fields=["name"])
        audit.record(
            actor=manager.user,
            action="labeler.rename",
            target=f"labeler {name}",
            project=manager.project,
            labeler=str(labeler.pk),
        )
    return locked


def pseudonym_of(labeler: Labeler) -> str:
    """What somebody is called once they are erased."""
    return f"person-{labeler.pk.hex[:12]}"


def erase(*, manager: Membership, labeler: Labeler, confirm: str) -> Labeler:
    """Forget a person: their name, account, tokens, settings, drafts and messages. Their labels stay.

    Args:
        confirm: their name, typed once more.

    Raises:
        Labeler.DoesNotExist: they neither are a member here nor left labels.
        PermissionDenied: it is not the manager's to do, or they also work where the manager does not own.
        MemberError: the name is not theirs, there is no account to erase, or they are a project's last owner.
    """
    if not members.labelers_of(manager.project).filter(pk=labeler.pk).exists():
        raise Labeler.DoesNotExist
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).filter(labeler=labeler).first()
        if user is None:
            raise MemberError("labeler", f"{labeler.name} has no account: there is nothing left to erase.")
        theirs = list(Membership.objects.select_for_update().filter(user=user).order_by("pk"))
        _check(manager, user, theirs)
        if confirm.strip() != labeler.name:
            raise MemberError("confirm", f"Type their name as it is written here: {labeler.name}")
        pseudonym = pseudonym_of(labeler)
        # Kept to the end: leases are locked after the labeler, tasks after leases.
        fit.lock(labeler, manager.project)
        _forget_in_log(user, {user.username, labeler.name}, pseudonym)
        _empty(user, pseudonym)
        Draft.objects.filter(labeler=labeler).delete()
        Message.objects.filter(labeler=labeler).delete()
        labeler.name, labeler.user, labeler.avoids_sensitive = pseudonym, None, False
        labeler.save(update_fields=["name", "user", "avoids_sensitive"])
        projects = [member.project for member in theirs]
        Membership.objects.filter(user=user).delete()
        audit.record(
            actor=User.objects.get(pk=manager.user_id),
            action="person.erase",
            target=f"labeler {pseudonym}",
            project=manager.project,
            labeler=str(labeler.pk),
        )
        queue.take_back(labeler=labeler)
        for project in sorted({*projects, manager.project}, key=lambda one: one.pk):
            live.announce(project=project, event="member", told=[str(labeler.pk)])
    return labeler


def _check(manager: Membership, user: User, theirs: list[Membership]) -> None:
    """Make sure that the manager may erase the account, and that no project is left without an owner."""
    here = next((one for one in theirs if one.project_id == manager.project_id), None)
    if here and not members.manages(manager, here):
        raise PermissionDenied("Only an owner of the project may do this to its owners and admins.")
    if not manager.user.is_superuser:
        if user.is_superuser or user.is_staff:
            raise PermissionDenied("This account runs the server, so nobody in a project may erase it.")
        own = set(
            manager.user.memberships.filter(role=Membership.Role.OWNER).values_list("project", flat=True)
        )
        if {one.project_id for one in theirs} - own - {manager.project_id}:
            raise PermissionDenied(
                "They also work in a project that you do not own. End their membership here instead, or ask "
                "whoever runs the server."
            )
    for one in theirs:
        members.check_owned(one, field="labeler")


def _empty(user: User, pseudonym: str) -> None:
    """Leave nothing of an account but its row."""
    entered = AuditEntry.objects.filter(actor=user, action="invitation.accept")
    links = list(entered.values_list("detail__invitation", flat=True))
    Invitation.objects.filter(pk__in=links).update(name="")
    ApiToken.objects.filter(user=user).delete()
    AccountSettings.objects.filter(user=user).delete()
    EmailAddress.objects.filter(user=user).delete()
    GuidelineDraft.objects.filter(author=user).delete()
    about = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(User), object_id=str(user.pk)
    )
    about.update(object_repr=pseudonym)
    user.username, user.email, user.first_name, user.last_name = pseudonym, "", "", ""
    user.is_active, user.is_staff, user.is_superuser, user.last_login = False, False, False, None
    user.set_unusable_password()
    user.save()


def _forget_in_log(user: User, names: set[str], pseudonym: str) -> None:
    with connection.cursor() as cursor:
        for name in sorted(names):
            cursor.execute(_FORGET, {"name": name, "pseudonym": pseudonym, "user": user.pk})
