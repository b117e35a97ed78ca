"""Prompts of a project: what came in, bringing more in with a preview, taking an import out of use."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_safe

from labeling import work
from labeling.faults import FieldError
from labeling.incoming import intake, preview, uploads, withdrawal
from labeling.incoming.intake import IntakeError
from labeling.models import Import, Project
from labeling.people import progress
from labeling.people.access import SignedInRequest, manager_of, project_context

ROWS = 25
LONGEST_AGAIN = 200_000  # of a pasted text, that is shown again to go on with
CHOICES = ("kind", "split", "share", "split_by", "use_case", "language", "skill", "model")


@require_safe
@login_required
def prompts(request: SignedInRequest, slug: str) -> HttpResponse:
    """The imports, newest first, and what the project holds by use case, language and side."""
    project = (membership := manager_of(user=request.user, slug=slug)).project
    context = project_context(membership)
    page = Paginator(project.imports.select_related("user").defer("labeler"), ROWS).get_page(
        request.GET.get("page")
    )
    context |= {
        "page": page,
        "imports": [(one, preview.refused(one)) for one in page.object_list],
        "holds": progress.holdings(project),
    }
    return render(request, "labeling/cockpit/prompts.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new_prompts(request: SignedInRequest, slug: str) -> HttpResponse | StreamingHttpResponse:
    """Send rows, look at what they would be, then take them in; nothing is stored before that."""
    project = (membership := manager_of(user=request.user, slug=slug)).project
    context = project_context(membership)
    given = _given(request, project)
    error: FieldError | None = None
    found: preview.Preview | None = None
    if request.method == "POST":
        intent = request.POST.get("intent", "preview")
        try:
            upload = _upload(request, project, given)
            given["upload"] = upload.name
            seen = _digest(given)
            if intent == "import" and request.POST.get("seen") == seen:
                return _take_in(request, project, upload, given)
            if intent == "import":
                messages.warning(request, _("Something was changed: this is what it would be now."))
            found = preview.preview(project=project, kind=given["kind"], rows=_rows(upload), **_how(given))
            if intent == "refused":
                return _refused(found.batch, name=f"{project.slug}-refused.csv")
            context |= {"found": found, "seen": seen}
        except (IntakeError, work.WorkError) as refused:
            error = refused
    context |= {
        "given": given,
        "error": error,
        "tasks": intake.TASKS,
        "kinds": Import.Kind.choices,
        "most": uploads.MOST_BYTES // 1024**2,
    }
    return render(request, "labeling/cockpit/prompts_new.html", context, status=422 if error else 200)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def one_import(request: SignedInRequest, slug: str, import_id: int) -> HttpResponse:
    """One import: its refused rows, what withdrawing it touches, and the button for it."""
    project = (membership := manager_of(user=request.user, slug=slug)).project
    context = project_context(membership)
    batch = get_object_or_404(project.imports.select_related("user", "project"), pk=import_id)
    error: FieldError | None = None
    if request.method == "POST":
        try:
            if request.POST.get("intent") == "restore":
                withdrawal.restore(batch=batch, actor=request.user)
                messages.success(request, _("The import is in use again."))
            else:
                reason = request.POST.get("reason", "").strip()
                withdrawal.withdraw(batch=batch, actor=request.user, reason=reason)
                messages.success(request, _("The import is withdrawn. You can bring it back here."))
            return redirect("labeling:import", slug=slug, import_id=batch.pk)
        except withdrawal.WithdrawalError as refused:
            error = refused
    context |= {
        "batch": batch,
        "refused": preview.refused(batch),
        "listed": batch.refused[: preview.MOST_LISTED],
        "reach": withdrawal.reach(batch),
        "error": error,
        "reason": request.POST.get("reason", ""),
    }
    return render(request, "labeling/cockpit/import.html", context, status=422 if error else 200)


@require_safe
@login_required
def refused_rows(request: SignedInRequest, slug: str, import_id: int) -> StreamingHttpResponse:
    """The rows that an import refused, as a file."""
    project = manager_of(user=request.user, slug=slug).project
    batch = get_object_or_404(project.imports, pk=import_id)
    return _refused(batch, name=f"{project.slug}-import-{batch.pk}-refused.csv")


def _given(request: SignedInRequest, project: Project) -> dict[str, Any]:
    """The form as it was sent, or as it begins."""
    post = request.POST
    given: dict[str, Any] = {name: post.get(name, "").strip() for name in CHOICES}
    if given["kind"] not in intake.VERBS:
        given["kind"] = Import.Kind.PROMPTS.value
    if not post:
        given |= {"split": "share" if project.heldout_share else "train"}
    given["split"] = given["split"] or "train"
    given["share"] = given["share"] or f"{project.heldout_share or 0.1:g}"
    given["tasks"] = [kind for kind in post.getlist("tasks") if kind in intake.TASKS[given["kind"]]]
    given["sensitive"] = post.get("sensitive") == "on"
    given["synthetic"] = post.get("synthetic") == "on"
    given["source"] = post.get("source", "").strip()[: uploads.LONGEST_SOURCE]
    given["upload"] = post.get("upload", "")
    text = post.get("text", "")
    given["text"] = text if len(text) <= LONGEST_AGAIN else ""
    return given


def _upload(request: SignedInRequest, project: Project, given: dict[str, Any]) -> uploads.Upload:
    """A file that was sent now, else a text, else what was sent before."""
    who: dict[str, Any] = {"project": project, "user": request.user}
    if file := request.FILES.get("file"):
        given["source"] = given["source"] or str(file.name)[: uploads.LONGEST_SOURCE]
        given["text"] = ""
        return uploads.keep(**who, pieces=file.chunks(), filename=str(file.name))
    text = request.POST.get("text", "")
    if text.strip():
        given["source"] = given["source"] or _("pasted")
        return uploads.keep(**who, pieces=[text.replace("\r\n", "\n").encode(errors="surrogateescape")])
    if given["upload"]:
        return uploads.find(**who, name=given["upload"])
    raise IntakeError("file", _("Paste some rows, or choose a file."))


def _how(given: dict[str, Any]) -> dict[str, Any]:
    """The choices as `intake` takes them."""
    by_share = given["split"] in ("share", "source")
    how = {name: given[name] for name in ("use_case", "language", "skill", "tasks", "sensitive")}
    how["split"] = given["share"].replace(",", ".") if by_share else given["split"]
    how["split_by"] = given["split_by"] if given["split"] == "source" else ""
    if given["split"] == "source" and not given["split_by"]:
        raise IntakeError("split_by", _("Name the field of the rows that says where each comes from."))
    if given["kind"] == Import.Kind.COMPLETIONS:
        how["model"] = given["model"]
    return how


def _rows(upload: uploads.Upload) -> Any:
    with upload.open() as file:
        yield from intake.read_rows(file, upload.name)


def _digest(given: dict[str, Any]) -> str:
    """What was looked at: the rows and every choice that bears on them."""
    bears = {name: value for name, value in given.items() if name not in ("text", "source", "synthetic")}
    return hashlib.sha256(json.dumps(bears, sort_keys=True).encode()).hexdigest()


def _take_in(
    request: SignedInRequest, project: Project, upload: uploads.Upload, given: dict[str, Any]
) -> HttpResponse:
    batch = intake.VERBS[given["kind"]](
        project=project,
        rows=_rows(upload),
        source=given["source"] or _("pasted"),
        user=request.user,
        synthetic=given["synthetic"],
        **_how(given),
    )
    uploads.drop(upload)
    said = ngettext("%(n)s row is taken in.", "%(n)s rows are taken in.", batch.accepted) % {
        "n": batch.accepted
    }
    if batch.tasks_made:
        more = ngettext("%(n)s task waits for labelers.", "%(n)s tasks wait for labelers.", batch.tasks_made)
        said = f"{said} {more % {'n': batch.tasks_made}}"
    messages.success(request, said)
    return redirect("labeling:prompts", slug=project.slug)


def _refused(batch: Import, *, name: str) -> StreamingHttpResponse:
    return StreamingHttpResponse(
        preview.refusals_as_csv(batch),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
