"""Ask labelers about the answers that are there already."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from labeling import command_line, work
from labeling.content import texts
from labeling.models import Task
from labeling.people import audit
from labeling.reviewing import reviews
from labeling.talks import talk, turns
from labeling.writing import briefs, conversations

# The options of each kind that has its own.
OWN: dict[str, tuple[str, ...]] = {
    Task.Kind.REVIEW: ("of", "share"),
    Task.Kind.CONVERSE: ("text", "setting", "count"),
    Task.Kind.PROMPT: ("form", "use_case", "text", "count", "demonstrate"),
}
OPTIONS = ("prompts", *dict.fromkeys(name for names in OWN.values() for name in names))


class Command(command_line.Command):
    help = (
        "Ask labelers about the project's answers: every one that no task of this kind shows yet, those of a "
        "prompt together as far as a task holds them (rank and rate 9, compare 2, edit and mark 1). "
        "With --kind review, ask reviewers about the labels of finished tasks that nobody has judged yet. "
        "With --kind converse, ask labelers to talk with the current checkpoint about what --text says. "
        "With --kind prompt, ask them to write prompts, or with --form follow_up for the next turns that "
        "conversations have room for."
    )
    mistakes = (work.WorkError, reviews.ReviewError, texts.TextError, turns.TurnError)

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument("--kind", required=True, choices=[*work.TAKES, *OWN])
        parser.add_argument("--prompts", nargs="+", type=int, metavar="ID", help="these prompts only")
        parser.add_argument(
            "--of", nargs="+", choices=reviews.REVIEWABLE, metavar="KIND", help="reviews: of these kinds only"
        )
        parser.add_argument(
            "--share", type=float, help="reviews: of the finished tasks, 1 unless given; 0.1 is every tenth"
        )

        parser.add_argument("--text", help="talks, prompts: what to talk or write about")
        parser.add_argument("--setting", help="talks: a system text that the model reads first")
        parser.add_argument("--count", type=int, help="talks, prompts: how many; 1 unless given")
        forms = [*briefs.Form.values, conversations.FOLLOW_UP]
        parser.add_argument("--form", choices=forms, help="prompts: plain unless given")
        parser.add_argument("--use-case", help="prompts: what they are for")
        parser.add_argument(
            "--no-demonstrate",
            dest="demonstrate",
            action="store_const",
            const=False,
            help="prompts: ask for no answers to them",
        )

    def perform(self, **options: Any) -> dict[str, Any]:
        project = command_line.find_project(options["project"])
        kind, own = options["kind"], OWN.get(options["kind"], ("prompts",))
        given = {name: options[name] for name in OPTIONS if options[name] is not None}
        if wrong := set(given) - set(own):
            raise work.WorkError(min(wrong), f"Not for {kind} tasks. Leave it out.")
        if kind == Task.Kind.REVIEW:
            made = reviews.make_reviews(project=project, kinds=given.get("of"), share=given.get("share", 1.0))
        elif kind == Task.Kind.CONVERSE:
            made = talk.add_tasks(project=project, **{"text": "", **given})
        elif kind == Task.Kind.PROMPT:
            made = conversations.add_tasks(project=project, **given)
        else:
            made = work.make_tasks(project=project, kind=kind, **given)
        about = f"{made} {kind} tasks"
        audit.record(actor=None, action="tasks.make", target=about, project=project, made=made)
        return {"project": project.slug, "kind": kind, "made": made}

    def describe(self, result: dict[str, Any]) -> str:
        return f"{result['made']:,} new {result['kind']} tasks wait for labelers."
