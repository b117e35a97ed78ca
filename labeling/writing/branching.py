"""A conversation with all its branches: which turns stand, what follows them, and what room there is.

`conversations` holds the verbs. A turn stands where the label that wrote it does, and those above.
Limits count the turns that stand and those that tasks wait for, and nothing else. They govern what is asked
for: a turn that stands again, as after an appeal, comes back with all below it, whatever was asked for since.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from django.db import connection
from django.db.models import Count, F, OuterRef, Q, Subquery

from guidelines.models import GuidelineVersion
from labeling.content.texts import text_hash
from labeling.models import Annotation, Import, Project, Prompt, Split, Task
from labeling.writing import briefs

# The kind of task that writes the turn of each role.
WRITES = {Prompt.Next.ASSISTANT: Task.Kind.DEMONSTRATE, Prompt.Next.USER: Task.Kind.PROMPT}
KINDS = tuple(WRITES.values())
SELECTION, IMPORTED = "conversation", "imported"

# The look and the insert in one: somebody may be writing the same words elsewhere.
_HANG = """
insert into labeling_prompt as old (project_id, messages, text_hash, next_role, origin, root_id,
    written_in_id, withdrawn, sensitive, split, use_case, language, skill, metadata, created_at)
values (%(project_id)s, %(messages)s::jsonb, %(text_hash)s, %(next_role)s, %(origin)s, %(root_id)s,
    %(written_in_id)s, false, %(sensitive)s, %(split)s, %(use_case)s, %(language)s, %(skill)s, '{}', now())
on conflict (project_id, text_hash) do update set
    messages = excluded.messages, next_role = excluded.next_role, origin = excluded.origin,
    root_id = excluded.root_id, written_in_id = excluded.written_in_id, withdrawn = false,
    sensitive = old.sensitive or excluded.sensitive,
    split = case when old.split = 'heldout' then old.split else excluded.split end,
    use_case = excluded.use_case, language = excluded.language, skill = excluded.skill
where old.withdrawn
returning id, sensitive, split
"""
_HUNG = (
    "project_id",
    "text_hash",
    "next_role",
    "origin",
    "root_id",
    "written_in_id",
    "sensitive",
    "split",
    "use_case",
    "language",
    "skill",
)


@dataclass(eq=False)
class Turn:
    """A place in a conversation: what was said so far, and who says the next turn."""

    prompt: Prompt
    depth: int
    """Turns so far."""
    labels: list[Annotation] = field(default_factory=list)
    """Those that stand and write the next turn, oldest first."""
    tasks: list[Task] = field(default_factory=list)
    """Open ones for the next turn, oldest first; ``written`` is how many slots of each hold a label."""
    asked: int = 0
    """Next turns to ask for besides."""
    begun_by: Annotation | None = None
    """The answer that it hangs on, where its prompt is still to be made."""

    @property
    def kind(self) -> str:
        return WRITES[Prompt.Next(self.prompt.next_role)]

    @property
    def waiting(self) -> int:
        """Next turns that tasks ask for and nobody has written."""
        return sum(max(0, task.wanted - task.written) for task in self.tasks)  # type: ignore[attr-defined]

    @property
    def next_turns(self) -> int:
        return len(self.labels) + self.waiting + self.asked


class Conversation:
    """A conversation with all its branches, its root locked. Make it inside a transaction."""

    def __init__(self, prompt: Prompt, *, project: Project, root: Prompt | None = None) -> None:
        self.project = project
        self.root = root or hold(prompt)
        below = Prompt.objects.filter(root=self.root).order_by("pk").defer("messages")
        self.prompts = [self.root, *below]
        labels = _labels(self.root)
        self.opening = next((one for one in labels if one.pk == self.root.written_in_id), None)
        turns = [one for one in labels if one is not self.opening and not one.surplus]
        self.turns = self._standing(turns)
        self._reconcile()
        for task in _tasks(self.turns):
            self.turns[task.prompt_id].tasks.append(task)

    @property
    def branches(self) -> int:
        """Next turns wanted after each turn."""
        return self.project.tree_branches if grows(self.project) else self.project.overlap

    @property
    def room(self) -> int:
        """Turns that people may write beyond those that tasks wait for; below 0 where the limits shrank."""
        held = sum(turn.next_turns for turn in self.turns.values())
        if not grows(self.project):
            return self.project.overlap - held
        return self.project.tree_size - (self.root.written_in_id is not None) - held

    def ask(self) -> int:
        """Ask for the next turns that there is room for; return how many.

        Where nothing follows yet comes first, and there the deepest. Tasks that a limit no longer allows are
        taken back as far as nobody holds them.
        """
        if not self.turns or not (grows(self.project) or self.root.origin == Prompt.Origin.WRITTEN):
            return 0
        self._ask_for_less()
        ends = [turn for turn in self.turns.values() if turn.depth < self.project.tree_turns]
        places = [turn for turn in ends if self._is_wanted(turn)]
        places += [place for turn in ends for place in self._beginnings(turn)]
        for _ in range(self.room):
            free = [turn for turn in places if turn.next_turns < self.branches]
            if not free:
                break
            min(free, key=lambda turn: (turn.next_turns, -turn.depth)).asked += 1
        for turn in places:
            self._ask_for(turn)
        return sum(turn.asked for turn in places)

    def _standing(self, labels: Sequence[Annotation]) -> dict[int, Turn]:
        """The turns whose every word still stands, by prompt, each before those below it."""
        turns: dict[int, Turn] = {}
        if self.root.origin == Prompt.Origin.WRITTEN and self.opening is None:
            return turns
        if self.root.withdrawn and Import.objects.filter(pk=self.root.batch_id).withdrawn().exists():
            return turns
        begun = {prompt.written_in_id: prompt for prompt in self.prompts if prompt.written_in_id}
        waiting = [Turn(self.root, depth(self.root.messages))]
        while waiting:
            turn = waiting.pop(0)
            turn.labels = [one for one in labels if one.task.prompt_id == turn.prompt.pk]
            turns[turn.prompt.pk] = turn
            below = [begun[label.pk] for label in turn.labels if label.pk in begun]
            waiting += [Turn(prompt, turn.depth + 1) for prompt in below]
        return turns

    def _reconcile(self) -> None:
        """Withdraw the turns that stand no longer, with their tasks, and bring back those that do again."""
        gone = [one for one in self.prompts if not one.withdrawn and one.pk not in self.turns]
        back = [one for one in self.prompts if one.withdrawn and one.pk in self.turns]
        for prompts, withdrawn in ((gone, True), (back, False)):
            if prompts:
                Prompt.objects.filter(pk__in=[one.pk for one in prompts]).update(withdrawn=withdrawn)
        if gone:
            Task.objects.filter(prompt__in=gone, state=Task.State.OPEN).update(state=Task.State.WITHDRAWN)

    def _is_wanted(self, turn: Turn) -> bool:
        """Whether the next turn is; a brief may want its prompts by themselves."""
        silent = self.opening is not None and not is_demonstrated(self.opening.task)
        return not (silent and turn.prompt is self.root)

    def _beginnings(self, turn: Turn) -> list[Turn]:
        """Places after answers of a turn on which nothing hangs yet, and something may."""
        if turn.kind != Task.Kind.DEMONSTRATE or turn.depth + 2 > self.project.tree_turns:
            return []
        there = {one.prompt.written_in_id for one in self.turns.values()}
        begun = {said(label) for label in turn.labels if label.pk in there}
        # The same words are the same turn, whoever wrote them too.
        fresh = {said(label): label for label in reversed(turn.labels) if said(label) not in begun}
        oldest = sorted(fresh.values(), key=lambda label: label.pk)[: max(0, self.branches - len(begun))]
        next_user = Prompt(next_role=Prompt.Next.USER)
        return [Turn(next_user, turn.depth + 1, begun_by=label) for label in oldest]

    def _ask_for(self, turn: Turn) -> None:
        """Raise what a task of the turn wants, or make one."""
        if not turn.asked:
            return
        if label := turn.begun_by:
            before = self.turns[label.task.prompt_id].prompt
            hung = hang(label, continued(before, label), before=before, root=self.root.pk)
            if hung is None:
                # Another conversation of the project goes on in the same words.
                turn.asked = 0
                return
            turn.prompt = hung
        of_people = (
            one for one in turn.tasks if one.round_number is None and one.selection_policy != IMPORTED
        )
        if task := next(of_people, None):
            Task.objects.filter(pk=task.pk).update(wanted=F("wanted") + turn.asked)
        else:
            version = self.root.newest_version  # type: ignore[attr-defined]
            make_task(turn.prompt, project=self.project, wanted=turn.asked, version=version)

    def _ask_for_less(self) -> None:
        for turn in reversed(self.turns.values()):
            for task in turn.tasks:
                too_many = max(turn.next_turns - self.branches, -self.room)
                cut = min(too_many, task.wanted - task.taken)
                if task.selection_policy == SELECTION and cut > 0:
                    free = Task.objects.filter(pk=task.pk, taken__lte=F("wanted") - cut)
                    task.wanted -= cut if free.update(wanted=F("wanted") - cut) else 0


def grows(project: Project) -> bool:
    """Whether people write conversations of more than a prompt and its answer."""
    return project.tree_turns > 2


def offers(sheet: Mapping[str, Any]) -> list[str]:
    """What the author of a turn may ask for next, by the task's kind, prompt and its project's limits."""
    after = depth(sheet["prompt"]) + 1
    if sheet["kind"] not in KINDS:
        return []
    goes_on = ["continue"] if after < sheet["tree_turns"] else []
    branches = sheet["tree_turns"] > 2 and sheet["tree_branches"] > 1 and after > 1
    return [*goes_on, *(["branch"] if branches else [])]


def depth(messages: Sequence[dict[str, Any]]) -> int:
    """Turns of a conversation so far; a system text is none, the steps of an agent are one."""
    speakers = (message["role"] == "user" for message in messages if message["role"] != "system")
    return sum(1 for _ in groupby(speakers))


def is_demonstrated(task: Task) -> bool:
    """Whether prompts that are written to this task's brief are asked about at once."""
    return task.brief.get("demonstrate") is not False


def hold(prompt: Prompt) -> Prompt:
    """Lock the conversation of ``prompt``; its root, with the key of the guideline's ``newest_version``."""
    versions = GuidelineVersion.objects.filter(guideline=OuterRef("project__guideline")).order_by("-number")
    roots = Prompt.objects.annotate(newest_version=Subquery(versions.values("pk")[:1]))
    return roots.select_for_update(of=("self",), no_key=True).get(pk=prompt.root_id or prompt.pk)


def is_opening(prompt: Prompt) -> bool:
    """Whether nobody has said anything yet: the one such prompt of a project begins all conversations."""
    return prompt.next_role == Prompt.Next.USER and depth(prompt.messages) == 0


def make_task(prompt: Prompt, *, project: Project, wanted: int, version: int) -> Task:
    """Ask ``wanted`` people for the next turn of ``prompt``, by the guideline version of this key."""
    return Task.objects.create(
        project=project,
        kind=WRITES[Prompt.Next(prompt.next_role)],
        prompt=prompt,
        guideline_version_id=version,
        **prompt.asks,
        wanted=wanted,
        selection_policy=SELECTION,
        propensity=1.0,
    )


def said(label: Annotation) -> str:
    """The turn that a label writes."""
    return briefs.said(label.answer) if label.kind == Task.Kind.PROMPT else str(label.answer["text"])


def continued(before: Prompt, label: Annotation) -> list[dict[str, Any]]:
    role = "user" if label.kind == Task.Kind.PROMPT else "assistant"
    return [*before.messages, {"role": role, "content": said(label)}]


def hang(
    label: Annotation, messages: list[dict[str, Any]], *, before: Prompt, root: int | None
) -> Prompt | None:
    """Make the prompt that hangs on a label; one that was withdrawn comes back as this label's.

    None where the project has these words already, and they stand.
    """
    # What a held-out person wrote, or wrote to a held-out prompt, judges models and trains none.
    heldout = Split.HELDOUT in {label.prompt_split, label.labeler_group}
    prompt = Prompt(
        project_id=before.project_id,
        messages=messages,
        text_hash=text_hash(messages),
        next_role=Prompt.Next.ASSISTANT if label.kind == Task.Kind.PROMPT else Prompt.Next.USER,
        origin=Prompt.Origin.WRITTEN,
        root_id=root,
        written_in=label,
        sensitive=before.sensitive,
        split=Split.HELDOUT if heldout else Split.TRAIN,
        use_case=str(label.task.brief.get("use_case", "")) or before.use_case,
        language=before.language,
        skill=before.skill,
    )
    with connection.cursor() as cursor:
        cursor.execute(
            _HANG, {name: getattr(prompt, name) for name in _HUNG} | {"messages": json.dumps(messages)}
        )
        row = cursor.fetchone()
    if row is None:
        return None
    prompt.pk, prompt.sensitive, prompt.split = row
    prompt._state.adding = False
    return prompt


def _labels(root: Prompt) -> list[Annotation]:
    """The standing labels that write turns of a conversation, and the one that began it, oldest first."""
    turns = (Q(task__prompt=root) | Q(task__prompt__root=root)) & Q(kind__in=KINDS, task__gold__isnull=True)
    standing = Annotation.objects.standing().filter(turns | Q(pk=root.written_in_id))
    return list(standing.select_related("task").order_by("pk"))


def _tasks(turns: Iterable[int]) -> Iterable[Task]:
    """The open tasks for next turns, with how many slots of each hold a label."""
    holds = Q(
        annotations__surplus=False,
        annotations__superseded_by__isnull=True,
        annotations__invalidation__isnull=True,
    )
    open_ones = Task.objects.filter(
        prompt__in=list(turns), kind__in=KINDS, state=Task.State.OPEN, gold__isnull=True
    )
    return open_ones.annotate(
        written=Count("annotations", filter=holds & Q(annotations__isnull=False))
    ).order_by("pk")
