"""Gold items: make them, of tasks and labels too, say what they are used for, and retire them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling import answers, work
from labeling.content.texts import unstorable
from labeling.faults import AnswerError, FieldError
from labeling.models import Annotation, Completion, GoldItem, Project, Prompt, Task
from labeling.people import audit
from labeling.qualification import consensus, grading

USES = ("quiz", "practice", "queue")
LONGEST_EXPLANATION = 4000


class GoldError(FieldError):
    """A gold item, or a quiz of them, that cannot be; ``field`` names what to mend."""


def add(
    *,
    project: Project,
    kind: str,
    prompt: Prompt,
    completions: Sequence[int] = (),
    answer: Mapping[str, Any] | None,
    uses: Sequence[str],
    explanation: str = "",
    made_from: Task | None = None,
    actor: Any = None,
) -> GoldItem:
    """Make a gold item of a prompt, its completions and the known answer.

    Args:
        completions: ids, in the order that ``answer`` counts them from 0.
        answer: in the form of its kind, candidates named by their place in ``completions``.

    Raises:
        GoldError: a kind that has no gold, completions that do not fit it, no answer or one that is not
            whole, no explanation where a labeler is to read one, or no use that it can have.
    """
    if kind not in grading.KINDS:
        raise GoldError("kind", _("Gold is made of %(kinds)s.") % {"kinds": ", ".join(grading.KINDS)})
    version = project.guideline.current
    if version is None:
        raise GoldError("guideline", f"{project.name} has no published guideline. Publish one first.")
    if prompt.project_id != project.pk:
        raise GoldError("prompt", f"{project.slug} has no prompt {prompt.pk}.")
    chosen = _check_uses(uses, kind)
    shown = _check_completions(kind, prompt, completions)
    answer = _check_answer(kind, answer, shown, version.criteria, partial=project.partial_rankings)
    explanation = _check_explanation(explanation, chosen)
    with transaction.atomic():
        item = GoldItem.objects.create(
            project=project,
            kind=kind,
            prompt=prompt,
            completions=list(completions),
            answer=answer,
            explanation=explanation,
            guideline_version=version,
            made_from=made_from,
            author=actor,
            **{use: use in chosen for use in USES},
        )
        _record(item, "gold.add", actor, kind=kind, uses=chosen, task=made_from and made_from.pk)
    return item


def add_from_task(
    *,
    task: Task,
    uses: Sequence[str],
    label: int | None = None,
    answer: Mapping[str, Any] | None = None,
    explanation: str = "",
    actor: Any = None,
) -> GoldItem:
    """Make a gold item of a task that is there, with ``answer``, that of ``label``, or the consensus.

    Args:
        label: the id of one of the task's labels.
        answer: in the form of its kind, candidates named by the task's candidate ids.

    Raises:
        GoldError: as `add`; the task is gold itself, has no such label, or its labels have no consensus.
    """
    if task.gold is not None or task.kind == Task.Kind.REVIEW:
        raise GoldError("task", _("This is no ordinary task. Choose another."))
    candidates = list(task.candidates.order_by("position").values_list("pk", "completion"))
    places = {pk: place for place, (pk, _completion) in enumerate(candidates)}
    if answer is None:
        labels = Annotation.objects.standing().filter(task=task)
        if label is not None:
            chosen = labels.filter(pk=label).first()
            if chosen is None:
                raise GoldError("label", _("The task has no such label that stands. Choose one of its own."))
            answer = chosen.answer
        else:
            said = list(labels.order_by("pk").values_list("answer", flat=True))
            answer = consensus.of(kind=task.kind, answers=said, candidates=list(places))
            if answer is None:
                raise GoldError(
                    "label",
                    _("Its labels have no one answer in common. Choose the label that is right.")
                    if said
                    else _("The task has no label yet. Answer it first, or choose another task."),
                )
    try:
        known = grading.renamed({key: answer[key] for key in answer if key != "comment"}, places)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise GoldError(
            "answer", _("The answer names something that is no candidate of the task.")
        ) from error
    return add(
        project=task.project,
        kind=task.kind,
        prompt=task.prompt,
        completions=[completion for _pk, completion in candidates],
        answer=known,
        uses=uses,
        explanation=explanation,
        made_from=task,
        actor=actor,
    )


def change(*, item: GoldItem, uses: Sequence[str], explanation: str, actor: Any = None) -> GoldItem:
    """Say anew what an item is for, and why its answer is right; the answer itself stays.

    Raises:
        GoldError: no use, one it cannot have, no explanation, or the qualification needs it for its quiz.
    """
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=item.project_id)
        before = item.uses
        chosen = _check_uses(uses, item.kind)
        item.explanation = _check_explanation(explanation, chosen)
        for use in USES:
            setattr(item, use, use in chosen)
        item.save(update_fields=[*USES, "explanation"])
        _check_quiz(item.project)
        _record(item, "gold.change", actor, changes={"uses": [before, chosen]})
    return item


def retire(*, item: GoldItem, actor: Any = None) -> GoldItem:
    """Ask an item no more; what was answered stays. Retiring twice is retiring once.

    Raises:
        GoldError: the qualification needs it for its quiz.
    """
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=item.project_id)
        item.refresh_from_db(fields=["retired_at"])
        if item.retired_at is None:
            item.retired_at = timezone.now()
            item.save(update_fields=["retired_at"])
            _check_quiz(item.project)
            # Copies that were made and not yet opened; who has one open goes on.
            item.project.tasks.filter(
                gold__item=item.pk, gold__use="queue", taken=0, reserved_for__isnull=False
            ).update(state=Task.State.WITHDRAWN)
            _record(item, "gold.retire", actor)
    return item


def _check_quiz(project: Project) -> None:
    from labeling.qualification import requirements

    if project.qualified_only:
        try:
            requirements.check(project.qualification)
        except GoldError as error:
            raise GoldError(
                "quiz",
                _("The qualification needs this item: %(why)s Add another first, or switch it off.")
                % {"why": error},
            ) from error


def _check_uses(uses: Sequence[str], kind: str) -> list[str]:
    if isinstance(uses, str) or (unknown := set(uses) - set(USES)):
        what = uses if isinstance(uses, str) else min(map(str, unknown))
        raise GoldError("uses", _("%(what)r is none of %(uses)s.") % {"what": what, "uses": ", ".join(USES)})
    if not uses:
        raise GoldError("uses", _("Say what it is for: the quiz, practice, or the queue."))
    if kind not in grading.BY_PLATFORM and "queue" in uses:
        raise GoldError(
            "uses", _("What people write is graded by people, so it is for the quiz or practice.")
        )
    return [use for use in USES if use in uses]


def _check_completions(kind: str, prompt: Prompt, completions: Sequence[int]) -> list[str]:
    """Their texts, in order."""
    least, most = work.TAKES.get(Task.Kind(kind), (0, 0))
    if not least <= len(completions) <= most:
        takes = str(least) if least == most else f"{least}–{most}"
        raise GoldError(
            "completions",
            _("This kind shows %(takes)s answers, not %(n)s.") % {"takes": takes, "n": len(completions)},
        )
    texts = dict(Completion.objects.filter(prompt=prompt, pk__in=completions).values_list("pk", "text"))
    if len(texts) != len(completions):
        raise GoldError("completions", _("Name answers to this prompt, each once."))
    return [texts[pk] for pk in completions]


def _check_answer(
    kind: str,
    answer: Mapping[str, Any] | None,
    texts: Sequence[str],
    criteria: list[dict[str, Any]],
    *,
    partial: bool,
) -> dict[str, Any]:
    if not answer:
        raise GoldError("answer", _("A gold item needs its known answer."))
    shown = answers.Shown(
        candidates=range(len(texts)),
        criteria=criteria,
        partial=partial,
        text=texts[0] if len(texts) == 1 else "",
    )
    try:
        return answers.check(kind=kind, answer=answer, shown=shown)
    except AnswerError as error:
        raise GoldError(error.field, str(error)) from error


def _check_explanation(explanation: str, uses: Sequence[str]) -> str:
    explanation = explanation.strip()
    if fault := unstorable(explanation):
        raise GoldError("explanation", fault)
    if len(explanation) > LONGEST_EXPLANATION:
        raise GoldError(
            "explanation", _("Explain it in %(n)s characters at most.") % {"n": f"{LONGEST_EXPLANATION:,}"}
        )
    if not explanation and set(uses) & {"quiz", "practice"}:
        raise GoldError("explanation", _("Say why this is the right answer: labelers read it afterwards."))
    return explanation


def _record(item: GoldItem, action: str, actor: Any, **detail: Any) -> None:
    audit.record(actor=actor, action=action, target=f"gold item {item.pk}", project=item.project, **detail)
