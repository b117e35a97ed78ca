"""The page behind an invitation's link: join with one click, with an account or after making one."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import get_adapter
from django import forms
from django.contrib.auth import login
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from labeling.models import Invitation, Membership
from labeling.people import invitations
from labeling.people.invitations import LinkOver, State

BACKEND = "django.contrib.auth.backends.ModelBackend"


class NewAccount(forms.Form):
    """An account of one's own, by the rules that hold for all accounts here."""

    username = forms.CharField(label=_("User name"), max_length=150)
    password = forms.CharField(label=_("Password"), max_length=4096, strip=False, widget=forms.PasswordInput)

    def clean_username(self) -> str:
        return str(get_adapter().clean_username(self.cleaned_data["username"]))

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if password := given.get("password"):
            try:
                validate_password(password, User(username=given.get("username", "")))
            except ValidationError as error:
                self.add_error("password", error)
        return given


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def join(request: HttpRequest, secret: str) -> HttpResponse:
    """What the link is for, and the way in; a link that is over says why."""
    try:
        invitation = invitations.find(secret)
    except Invitation.DoesNotExist:
        return _answer(request, {"unknown": True}, status=404)
    member = _member(request, invitation)
    state = invitations.state_of(invitation)
    context: dict[str, Any] = {"invitation": invitation, "member": member, "state": state}
    if state != State.OPEN and not member:
        return _answer(request, {**context, "over": str(LinkOver(state))}, status=410)
    if request.method == "GET":
        return _answer(request, {**context, "form": NewAccount()})
    try:
        if request.user.is_authenticated:
            invitations.accept(secret=secret, user=request.user)
            return redirect("labeling:home")
        form = NewAccount(request.POST)
        if form.is_valid() and (user := _made(secret, form)):
            login(request, user, backend=BACKEND)
            return redirect("labeling:home")
    except LinkOver as error:
        return _answer(request, {**context, "over": str(error), "state": error.state}, status=410)
    return _answer(request, {**context, "form": form}, status=422)


def _made(secret: str, form: NewAccount) -> User | None:
    """The account with its membership, both or neither; None where the name was taken meanwhile.

    Raises:
        LinkOver: the last place was taken meanwhile.
    """
    # Before the link's row is locked: hashing takes its time.
    password = make_password(form.cleaned_data["password"])
    try:
        with transaction.atomic():
            user = User.objects.create(username=form.cleaned_data["username"], password=password)
            invitations.accept(secret=secret, user=user)
    except IntegrityError:
        form.add_error("username", get_adapter().error_messages["username_taken"])
        return None
    return user


def _member(request: HttpRequest, invitation: Invitation) -> Membership | None:
    if not request.user.is_authenticated:
        return None
    return Membership.objects.filter(project=invitation.project_id, user=request.user).first()


def _answer(request: HttpRequest, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    response = render(request, "labeling/join.html", context, status=status)
    # The address is a secret. (Without any referrer a browser would send no origin either, and no form.)
    response["Cache-Control"], response["Referrer-Policy"] = "no-store", "same-origin"
    return response
