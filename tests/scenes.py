"""Small worlds for the tests of labeling: a project, its people, its tasks, and answers that fit them."""

from __future__ import annotations

from itertools import count
from typing import Any

from django.contrib.auth.models import User

from labeling.content.texts import text_hash
from labeling.models import Candidate, Completion, Labeler, Lease, Membership, Project, Prompt, Task
from labeling.people.projects import create_project, labeler_for

_numbers = count()
# The kinds of task that `new_task` and `an_answer` know.
KINDS = ("demonstrate", "rank", "compare", "rate", "edit", "mark")
CANDIDATES = {Task.Kind.DEMONSTRATE: 0, Task.Kind.COMPARE: 2, Task.Kind.EDIT: 1, Task.Kind.MARK: 1}


def new_project(**fields: Any) -> Project:
    """A project with a guideline and nobody in it."""
    slug = f"stories-{next(_numbers)}"
    project = create_project(
        slug=slug, name="Stories", guideline_title="Kind stories", guideline_body="# Be kind"
    )
    for name, value in fields.items():
        setattr(project, name, value)
    project.save()
    return project


def new_labeler(project: Project | None = None, *, role: str = "labeler", group: str = "train") -> Labeler:
    """A labeler with an account, a member of ``project`` where one is given."""
    user = User.objects.create_user(f"leo-{next(_numbers)}")
    if project:
        Membership.objects.create(project=project, user=user, role=role, group=group)
    return labeler_for(user)


def new_task(project: Project, *, kind: str = "rank", k: int = 3, **fields: Any) -> Task:
    """A task about a prompt of its own; a ranking or rating has ``k`` candidates."""
    messages = [{"role": "user", "content": f"Story {next(_numbers)}"}]
    split = fields.pop("split", "train")
    prompt = Prompt.objects.create(
        project=project, messages=messages, text_hash=text_hash(messages), split=split
    )
    task = Task.objects.create(
        project=project,
        kind=kind,
        prompt=prompt,
        guideline_version=project.guideline.current,
        **{"wanted": project.overlap} | fields,
    )
    for position in range(CANDIDATES.get(kind, k)):
        text = f"Once a fox found kite {position}."
        completion = Completion.objects.create(
            prompt=prompt, text=text, text_hash=text_hash(text), index=position
        )
        Candidate.objects.create(task=task, completion=completion, position=position)
    return task


def an_answer(lease: Lease) -> dict[str, Any]:
    """A whole answer to the lease's task; a rating answers no required criterion."""
    tiers = [[candidate] for candidate in lease.shown_order]
    match lease.task.kind:
        case Task.Kind.RANK:
            return {"tiers": tiers}
        case Task.Kind.COMPARE:
            return {"preferred": lease.shown_order[0], "strength": "better"}
        case Task.Kind.RATE:
            return {"ratings": {}, "tiers": tiers}
        case Task.Kind.MARK:
            return {"marks": []}
    return {"text": "Once a fox found a kite."}
