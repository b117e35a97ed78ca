"""Doors to projects and their people, and to what comes in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import F, Value
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from labeling import work
from labeling.api import OrjsonParser, project_forms
from labeling.api.doors import Door
from labeling.incoming import intake, preview
from labeling.models import Annotation, Import, Membership, Project, Task
from labeling.people import audit, presets
from labeling.people.members import roles_given_by
from labeling.people.projects import change_settings, create_member, may_create, settings_of
from labeling.problems import TooLarge
from labeling.reviewing import reviews
from labeling.talks import talk
from labeling.writing import conversations

# An import is one transaction in one web thread; `manage.py import_prompts` takes files of any size.
MOST_BYTES = 256 * 1024 * 1024


class Projects(Door):
    @extend_schema(operation_id="list_projects", responses=project_forms.ProjectListForm)
    def get(self, request: Request) -> Response:
        """The projects that one is a member of, and as what."""
        role = Value(Membership.Role.OWNER) if self.user.is_superuser else F("memberships__role")
        found = Project.objects.visible_to(self.user).order_by("name")
        return Response({"results": list(found.values("slug", "name", role=role))})

    @extend_schema(
        operation_id="create_project",
        request=project_forms.NewProjectForm,
        responses={201: project_forms.ProjectForm},
    )
    def post(self, request: Request) -> Response:
        """Make a project, from a preset or with a guideline of its own. For owners of one."""
        if not may_create(self.user):
            raise PermissionDenied("Only who owns a project or runs the server makes new ones.")
        project = presets.create(owner=self.user, **self.read(project_forms.NewProjectForm))
        return Response(_in_figures(self.member(project.slug)), status=201)


class OneProject(Door):
    @extend_schema(operation_id="get_project", responses=project_forms.ProjectForm)
    def get(self, request: Request, slug: str) -> Response:
        """The project in figures, with its settings, guideline version and checkpoint in use."""
        return Response(_in_figures(self.member(slug)))

    @extend_schema(
        operation_id="change_project", request=project_forms.SettingsForm, responses=project_forms.ProjectForm
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Change some of the project's settings. Owners and admins only."""
        manager = self.manager(slug)
        manager.project = change_settings(
            project=manager.project, actor=self.user, **self.read(project_forms.SettingsForm)
        )
        return Response(_in_figures(manager))


def _in_figures(membership: Membership) -> dict[str, Any]:
    project = membership.project
    version, checkpoint = project.guideline.current, project.current_checkpoint
    tasks = Task.objects.filter(project=project, gold__isnull=True)
    labels = Annotation.objects.valid().filter(task__project=project, task__gold__isnull=True)
    return {
        "slug": project.slug,
        "name": project.name,
        "role": membership.role,
        "task_count": tasks.count(),
        "open_task_count": tasks.open().count(),
        "annotation_count": labels.count(),
        "guideline_version": version
        and {"id": version.pk, "guideline": project.guideline.slug, "number": version.number},
        "current_checkpoint": checkpoint and {"id": checkpoint.pk, "name": checkpoint.name},
        "stuck_appeals": reviews.stuck_appeals([project.pk]).get(project.pk, 0),
        **settings_of(project),
    }


class Members(Door):
    @extend_schema(
        operation_id="add_member",
        request=project_forms.MemberForm,
        responses={201: project_forms.NewMemberForm},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Add a member, with an account and a token where there is no account of that name."""
        manager, asked = self.manager(slug), self.read(project_forms.MemberForm)
        if asked["role"] not in roles_given_by(manager):
            raise PermissionDenied("Only an owner makes others owners or admins.")
        membership, token = create_member(project=manager.project, actor=self.user, **asked)
        return Response({"username": membership.user.username, "token": token}, status=201)


class JsonLines(BaseParser):
    """Rows of a JSONL body, read as they are wanted."""

    media_type = "application/jsonl"
    name = "body.jsonl"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        # Looked at now, so that a body of another kind is refused before anything is stored.
        rows = iter(intake.read_rows(stream, self.name))
        first = next(rows, None)
        return iter(()) if first is None else chain([first], rows)


class NewlineDelimitedJson(JsonLines):
    media_type = "application/x-ndjson"


class Csv(JsonLines):
    media_type = "text/csv"
    name = "body.csv"


class Prompts(Door):
    parser_classes = [OrjsonParser, JsonLines, NewlineDelimitedJson, Csv]

    @extend_schema(
        operation_id="import_prompts",
        parameters=[project_forms.ImportQueryForm],
        request={"application/json": project_forms.RowsForm, "application/jsonl": str, "text/csv": str},
        responses={201: project_forms.ImportedForm},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Take in prompts: `{"rows": […]}`, or a body of JSONL or CSV. Refused rows are listed with why."""
        return self.take_in(slug, intake.import_prompts)

    def take_in(
        self, slug: str, verb: Callable[..., Import], form: Any = project_forms.ImportQueryForm
    ) -> Response:
        project = self.manager(slug).project
        asked = self.query(form)
        if int(self.request.META.get("CONTENT_LENGTH") or 0) > MOST_BYTES:
            raise TooLarge(f"An import by the API has {MOST_BYTES:,} bytes at most. Send it in parts.")
        sent = self.request.data
        rows = sent if isinstance(sent, Iterator | list) else self.read(project_forms.RowsForm)["rows"]
        if asked.pop("dry_run"):
            kind = next(name for name, each in intake.VERBS.items() if each is verb)
            for name in ("source", "synthetic"):
                asked.pop(name)
            found = preview.preview(project=project, kind=kind, rows=rows, **asked)
            return Response({**_imported(found.batch), "preview": preview.as_dict(found)})
        batch = verb(project=project, rows=rows, user=self.user, **asked)
        return Response(_imported(batch), status=201)


def _imported(batch: Import) -> dict[str, Any]:
    body = {"import": batch.pk, "accepted": batch.accepted, "tasks": batch.tasks_made}
    return {**body, "refused": batch.refused}


class Demonstrations(Prompts):
    @extend_schema(
        operation_id="import_demonstrations",
        parameters=[project_forms.ImportQueryForm],
        request={"application/json": project_forms.RowsForm, "application/jsonl": str, "text/csv": str},
        responses={201: project_forms.ImportedForm},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Take in demonstrations, in the forms of `prompts/`; each becomes a label by an import."""
        return self.take_in(slug, intake.import_demonstrations)


class Completions(Prompts):
    @extend_schema(
        operation_id="import_completions",
        parameters=[project_forms.CompletionsQueryForm],
        request={"application/json": project_forms.RowsForm, "application/jsonl": str, "text/csv": str},
        responses={201: project_forms.ImportedForm},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Take in answers given elsewhere: rows `{"prompt", "completions": [text, …], "models"?: [name, …]}`.

        Also Open-Assistant's trees. With `?tasks=rank` (compare, rate, edit) people are asked about them.
        """
        return self.take_in(slug, intake.import_completions, project_forms.CompletionsQueryForm)


class Tasks(Door):
    @extend_schema(
        operation_id="make_tasks",
        request=project_forms.TasksForm,
        responses={201: project_forms.TasksMadeForm},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Ask people about every answer that no task of this kind shows yet; reviewers, about labels."""
        project, asked = self.manager(slug).project, self.read(project_forms.TasksForm)
        match kind := asked.pop("kind"):
            case Task.Kind.REVIEW:
                made = reviews.make_reviews(
                    project=project, kinds=asked.get("of"), share=asked.get("share", 1.0)
                )
            case Task.Kind.CONVERSE:
                made = talk.add_tasks(project=project, **asked)
            case Task.Kind.PROMPT:
                made = conversations.add_tasks(project=project, **asked)
            case _:
                made = work.make_tasks(project=project, kind=kind, **asked)
        about = f"{made} {kind} tasks"
        audit.record(actor=self.user, action="tasks.make", target=about, project=project, made=made)
        return Response({"made": made}, status=201)
