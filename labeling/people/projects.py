"""Projects and their people: create a project and change its settings, add members, find who labels."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.db import IntegrityError, transaction

from guidelines import publish
from guidelines.models import Guideline
from labeling import live
from labeling.models import Labeler, Membership, Project, Split
from labeling.people import audit
from labeling.people.settings import SETTINGS, ProjectError, check, settings_of

__all__ = [
    "SETTINGS",
    "ProjectError",
    "change_settings",
    "check_slug",
    "create_member",
    "create_project",
    "labeler_for",
    "may_create",
    "settings_of",
]


def create_project(
    *,
    slug: str,
    name: str,
    guideline_title: str,
    guideline_body: str,
    owner: User | None = None,
    criteria: list[dict[str, Any]] | None = None,
    examples: list[dict[str, Any]] | None = None,
    rules: list[str] | None = None,
    overlap: int = 1,
) -> Project:
    """Make a project with the first version of its guideline; ``owner`` becomes its first member.

    Raises:
        ProjectError: the slug is taken or no slug, the name is empty, or the overlap is not positive.
        publish.GuidelineError: the guideline has no text.
    """
    check_slug(slug)
    name = check("name", name)
    if overlap < 1:
        raise ProjectError("overlap", "Each task wants at least one label.")
    try:
        with transaction.atomic():
            guideline = Guideline.objects.create(slug=slug, title=guideline_title)
            publish.publish(
                guideline=guideline,
                body=guideline_body,
                criteria=criteria,
                examples=examples,
                rules=rules,
                author=owner,
            )
            project = Project.objects.create(slug=slug, name=name, guideline=guideline, overlap=overlap)
            if owner:
                Membership.objects.create(project=project, user=owner, role=Membership.Role.OWNER)
                labeler_for(owner)
            audit.record(actor=owner, action="project.create", target=f"project {slug}", project=project)
    except IntegrityError as error:
        raise ProjectError(
            "slug", f"There is a project or guideline {slug!r} already. Choose another."
        ) from error
    return project


RESERVED = {"new"}  # addresses below /projects/ that are no project's


def check_slug(slug: str) -> None:
    """Make sure that a text can be a project's address.

    Raises:
        ProjectError: it is no slug, or too long.
    """
    try:
        validate_slug(slug)
    except ValidationError as error:
        raise ProjectError("slug", "Use letters, digits, hyphens and underscores only.") from error
    if len(slug) > 50:
        raise ProjectError("slug", "The slug is longer than 50 characters.")
    if slug in RESERVED:
        raise ProjectError("slug", f"{slug!r} is an address of the platform's own. Choose another.")


def may_create(user: User | AnonymousUser, *, roles: Collection[str] | None = None) -> bool:
    """Whether somebody may make projects: who runs the server, and who owns a project already.

    Args:
        roles: those that they have in projects, where they are known.
    """
    if user.is_superuser or roles is not None:
        return user.is_superuser or Membership.Role.OWNER in (roles or ())
    return Membership.objects.filter(user_id=user.pk, role=Membership.Role.OWNER).exists()


def change_settings(*, project: Project, actor: Any = None, **changes: Any) -> Project:
    """Change some of `SETTINGS` and return the project as it is now; tasks that are there keep their overlap.

    Raises:
        ProjectError: no such setting, a value of the wrong type, or one out of bounds.
    """
    changes = {name: check(name, value) for name, value in changes.items()}
    with transaction.atomic():
        project = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        before = settings_of(project)
        changes = {name: value for name, value in changes.items() if getattr(project, name) != value}
        for name, value in changes.items():
            setattr(project, name, value)
        if changes:
            project.save(update_fields=list(changes))
            after = settings_of(project)
            audit.record(
                actor=actor,
                action=_deed(changes),
                target=f"project {project.slug}",
                project=project,
                changes={name: [before[name], after[name]] for name in sorted(changes)},
            )
            live.announce(project=project, event="settings", names=sorted(changes))
    return project


def _deed(changes: dict[str, Any]) -> str:
    if set(changes) == {"paused"}:
        return "project.pause" if changes["paused"] else "project.resume"
    return "project.settings"


def labeler_for(user: User) -> Labeler:
    """Return who labels when ``user`` does, made at the first call."""
    if known := getattr(user, "labeler", None):
        return known
    labeler, _ = Labeler.objects.get_or_create(user=user, defaults={"name": user.username})
    return labeler


def create_member(
    *,
    project: Project,
    username: str,
    role: str,
    kind: str = Labeler.Kind.HUMAN,
    group: str = Split.TRAIN,
    actor: Any = None,
) -> tuple[Membership, str | None]:
    """Add a member, with an account where there is none, and return the membership and a token.

    The token is None for an account that was here before: only its owner may make tokens for it. The one
    exception is a simulated labeler of this project and no other, so that a simulation can be run again.

    Raises:
        ProjectError: a bad username, an unknown role, kind or group, an account of another kind, or a member
            already with another role or group.
    """
    for field, value, choices in (
        ("role", role, Membership.Role.values),
        ("kind", kind, [Labeler.Kind.HUMAN, Labeler.Kind.SIMULATED]),
        ("group", group, Split.values),
    ):
        if value not in choices:
            raise ProjectError(field, f"Must be one of {', '.join(choices)}.")
    with transaction.atomic():
        user, is_new = _account(username)
        # An account that was here and has not labeled yet is a person's, whatever is asked for.
        defaults = {"name": username, "kind": kind if is_new else Labeler.Kind.HUMAN}
        labeler, _ = Labeler.objects.get_or_create(user=user, defaults=defaults)
        if labeler.kind != kind:
            raise ProjectError(
                "kind", f"{username!r} is a {labeler.kind} labeler already. Choose another name."
            )
        membership, is_added = Membership.objects.get_or_create(
            project=project, user=user, defaults={"role": role, "group": group}
        )
        if is_added:
            audit.record(
                actor=actor,
                action="membership.add",
                target=f"{role} {username}",
                project=project,
                role=role,
                group=group,
                kind=kind,
            )
        for field, here, asked in (("role", membership.role, role), ("group", membership.group, group)):
            if here != asked:
                raise ProjectError(field, f"{username!r} is a member already, with the {field} {here}.")
        elsewhere = user.memberships.exclude(project=project).exists()
        again = kind == Labeler.Kind.SIMULATED and not elsewhere
        if not (is_new or again):
            return membership, None
        # Brings the REST framework in, which commands and the worker start without.
        from labeling.people import tokens

        token = tokens.issue(user=user, name=project.slug, actor=actor)
    return membership, token


def _account(username: str) -> tuple[User, bool]:
    if user := User.objects.filter(username=username).first():
        return user, False
    user = User(username=username)
    user.set_unusable_password()
    try:
        user.clean_fields(exclude=["password"])
    except ValidationError as error:
        raise ProjectError(
            "username", " ".join(error.message_dict.get("username", error.messages))
        ) from error
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:
        # Somebody made the same account between the look and the insert.
        return User.objects.get(username=username), False
    return user, True
