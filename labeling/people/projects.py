"""Projects and their people: create a project and change its settings, add members, find who labels."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.db import IntegrityError, transaction

from guidelines import publish
from guidelines.models import Guideline
from labeling import live
from labeling.faults import FieldError
from labeling.models import Labeler, Membership, Project, Split

# What an owner or admin may change at any time, with the least and the most; else it is true or false.
SETTINGS: dict[str, tuple[float, float] | None] = {
    "overlap": (1, 100),
    "partial_rankings": None,
    "tree_turns": (2, 50),
    "tree_branches": (1, 9),
    "tree_size": (1, 500),
    "model_drafts": None,
    "review_share": (0, 1),
    "lease_seconds": (60, 24 * 3600),
    "paused": None,
}


class ProjectError(FieldError):
    """A project, setting or member that cannot be; ``field`` names what to mend."""


def create_project(
    *,
    slug: str,
    name: str,
    guideline_title: str,
    guideline_body: str,
    owner: User | None = None,
    criteria: list[dict[str, Any]] | None = None,
    overlap: int = 1,
) -> Project:
    """Make a project with the first version of its guideline; ``owner`` becomes its first member.

    Raises:
        ProjectError: the slug is taken or no slug, the name is empty, or the overlap is not positive.
        publish.GuidelineError: the guideline has no text.
    """
    try:
        validate_slug(slug)
    except ValidationError as error:
        raise ProjectError("slug", "Use letters, digits, hyphens and underscores only.") from error
    if len(slug) > 50:
        raise ProjectError("slug", "The slug is longer than 50 characters.")
    if not name.strip():
        raise ProjectError("name", "The project has no name.")
    if overlap < 1:
        raise ProjectError("overlap", "Each task wants at least one label.")
    try:
        with transaction.atomic():
            guideline = Guideline.objects.create(slug=slug, title=guideline_title)
            publish.publish(guideline=guideline, body=guideline_body, criteria=criteria, author=owner)
            project = Project.objects.create(slug=slug, name=name, guideline=guideline, overlap=overlap)
            if owner:
                Membership.objects.create(project=project, user=owner, role=Membership.Role.OWNER)
                labeler_for(owner)
    except IntegrityError as error:
        raise ProjectError(
            "slug", f"There is a project or guideline {slug!r} already. Choose another."
        ) from error
    return project


def change_settings(*, project: Project, **changes: Any) -> Project:
    """Change some of `SETTINGS` and return the project as it is now; tasks that are there keep their overlap.

    Raises:
        ProjectError: no such setting, a value of the wrong type, or one out of bounds.
    """
    for name, value in changes.items():
        _check_setting(name, value)
    with transaction.atomic():
        project = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        for name, value in changes.items():
            setattr(project, name, value)
        if changes:
            project.save(update_fields=list(changes))
            live.announce(project=project, event="settings", names=sorted(changes))
    return project


def settings_of(project: Project) -> dict[str, Any]:
    return {name: getattr(project, name) for name in SETTINGS}


def _check_setting(name: str, value: Any) -> None:
    if name not in SETTINGS:
        raise ProjectError(name, f"There is no such setting. There are: {', '.join(SETTINGS)}.")
    bounds = SETTINGS[name]
    if bounds is None:
        if not isinstance(value, bool):
            raise ProjectError(name, "This is true or false.")
        return
    share = name == "review_share"
    if isinstance(value, bool) or not isinstance(value, int | float if share else int):
        raise ProjectError(name, f"This is a {'' if share else 'whole '}number.")
    least, most = bounds
    if not least <= value <= most:
        raise ProjectError(name, f"This is from {least:,} to {most:,}, not {value:,}.")


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
        membership, _ = Membership.objects.get_or_create(
            project=project, user=user, defaults={"role": role, "group": group}
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

        token = tokens.issue(user=user, name=project.slug)
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
