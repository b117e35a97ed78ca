"""Labelers' pages of a project's qualification, and the page where reviewers grade what they wrote."""

from __future__ import annotations

from typing import Any

from django.contrib import messages as notices
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from guidelines.render import answer_html
from labeling.annotate import Conflict
from labeling.content import message_html
from labeling.faults import FieldError
from labeling.models import Attempt, GoldLabel, Grade
from labeling.people import keys
from labeling.people.access import SignedInRequest, membership_of, project_context, reviewer_of
from labeling.people.projects import labeler_for
from labeling.qualification import attempts, door, grades, practice, requirements, results

MOST_LISTED = 50


@login_required
@require_http_methods(["GET", "POST"])
def entrance(request: SignedInRequest, slug: str) -> HttpResponse:
    """What is asked, how I stand, and once a try ended what was right and why; a POST begins one."""
    membership = membership_of(user=request.user, slug=slug)
    project, labeler = membership.project, labeler_for(request.user)
    context = project_context(membership)
    if request.method == "POST":
        try:
            attempts.start(project=project, labeler=labeler)
            return redirect("labeling:work", slug=slug)
        except (door.Shut, FieldError) as error:
            context["error"] = str(error)
    found = door.of(project=project, labeler=labeler)
    newest = Attempt.objects.filter(project=project, labeler=labeler).first()
    context |= {
        "door": found,
        "asked": requirements.of(project),
        "attempt": newest,
        "progress": attempts.progress(newest) if newest and newest.state == Attempt.State.OPEN else None,
        "told": results.of_attempt(newest) if newest and newest.closed_at else [],
        "practice": practice.items(project=project, labeler=labeler),
    }
    return render(request, "labeling/entrance.html", context, status=409 if "error" in context else 200)


@login_required
@require_safe
def practise(request: SignedInRequest, slug: str) -> HttpResponse:
    """What there is to practise on, and how I did."""
    membership = membership_of(user=request.user, slug=slug)
    labeler = labeler_for(request.user)
    context = project_context(membership)
    done = GoldLabel.objects.filter(
        labeler=labeler, item__project=membership.project, use=GoldLabel.Use.PRACTICE
    ).select_related("annotation__task__prompt")
    context |= {
        "items": practice.items(project=membership.project, labeler=labeler),
        "done": done.order_by("-pk")[:MOST_LISTED],
    }
    return render(request, "labeling/practice.html", context)


@login_required
@require_safe
def practice_work(request: SignedInRequest, slug: str) -> HttpResponse:
    """The work page with a task to practise on."""
    membership = membership_of(user=request.user, slug=slug)
    labeler = labeler_for(request.user)
    context = {
        **project_context(membership),
        "kind": "",
        "practice": True,
        "keys": keys.settings_of(request.user),
        "labeler": labeler.pk,
        "avoids_sensitive": labeler.avoids_sensitive,
    }
    return render(request, "labeling/work.html", context)


@login_required
@require_safe
def practised(request: SignedInRequest, slug: str, annotation_id: int) -> HttpResponse:
    """What was right in a practice task of mine, and why."""
    membership = membership_of(user=request.user, slug=slug)
    own = GoldLabel.objects.filter(
        annotation=annotation_id,
        item__project=membership.project,
        labeler=labeler_for(request.user),
        use=GoldLabel.Use.PRACTICE,
    )
    context = project_context(membership)
    if not (told := results.told(own)):
        raise Http404
    return render(request, "labeling/practised.html", context | {"told": told})


@login_required
@require_http_methods(["GET", "POST"])
def grading(request: SignedInRequest, slug: str) -> HttpResponse:
    """What people wrote to qualify, to be given its points."""
    membership = reviewer_of(user=request.user, slug=slug)
    project = membership.project
    context = project_context(membership)
    if request.method == "POST":
        given = request.POST
        try:
            grades.grade(
                annotation_id=_number(given.get("annotation")),
                project=project,
                grader=request.user,
                points=_number(given.get("points")),
                comment=given.get("comment", ""),
            )
            notices.success(request, _("Graded."))
            return redirect("labeling:grading", slug=slug)
        except FieldError as error:
            context |= {"error": error, "given": given}
        except Conflict as error:
            notices.warning(request, str(error))
            return redirect("labeling:grading", slug=slug)
        except GoldLabel.DoesNotExist:
            raise Http404 from None
    found = grades.waiting(project=project, grader=request.user)
    context |= {
        "waiting": [_to_grade(one, slug) for one in found[:MOST_LISTED]],
        "scale": range(Grade.LEAST, Grade.MOST + 1),
    }
    return render(request, "labeling/grading.html", context, status=422 if "error" in context else 200)


def _to_grade(one: GoldLabel, slug: str) -> dict[str, Any]:
    return {
        "annotation": one.annotation_id,
        "prompt": message_html.shown(one.annotation.task.prompt.messages, slug=slug),
        "text": answer_html(one.annotation.answer["text"]),
        "known": answer_html(one.item.answer["text"]),
        "explanation": one.item.explanation,
    }


def _number(given: str | None) -> int:
    """A whole number of a form; 0 for what is none."""
    return int(given) if given and given.isdecimal() and given.isascii() and len(given) < 19 else 0
