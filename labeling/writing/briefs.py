"""Briefs: ask people to write prompts, as InstructGPT's labelers did (arXiv 2203.02155, appendix A.2.1).

- plain: any task that comes to mind, as varied as they can be;
- few_shot: an instruction, with several pairs of an input and its output that follow it;
- use_case: a prompt that fits one use case of those that people asked for.

A brief is what its task shows: ``{"form", "text"?, "use_case"?, "demonstrate"?}``. Each prompt that is
written is asked about at once, as a demonstration, unless ``demonstrate`` is false.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import models

from labeling import work
from labeling.content.texts import TextError, check_text
from labeling.faults import AnswerError
from labeling.models import Project, Task

LONGEST_TEXT = 10_000
LONGEST_USE_CASE = 60
FEWEST_EXAMPLES, MOST_EXAMPLES = 2, 16
FEW_SHOT = ("instruction", "examples", "input")

Answer = Mapping[str, Any]


class Form(models.TextChoices):
    PLAIN = "plain"
    FEW_SHOT = "few_shot", "few-shot"
    USE_CASE = "use_case", "use case"


def ask(
    *,
    project: Project,
    form: str = Form.PLAIN,
    text: str = "",
    use_case: str = "",
    count: int = 1,
    demonstrate: bool = True,
) -> int:
    """Make ``count`` tasks, alike, in which a person writes a prompt; return how many.

    Each wants one prompt, whatever the project's overlap: nobody writes the same prompt twice.

    Args:
        text: what to write about, in a few sentences.
        use_case: what the prompts are for; they carry it along.
        demonstrate: whether each prompt is asked about as soon as it is written.

    Raises:
        work.WorkError: an unknown form, a use case that is missing or too long, a text that is too long, a
            bad count, or no published guideline.
    """
    if form not in Form.values:
        raise work.WorkError("form", f"Must be one of {', '.join(Form.values)}.")
    if form == Form.USE_CASE and not use_case.strip():
        raise work.WorkError("use_case", "Name the use case that the prompts are for.")
    for field, value, longest in (("use_case", use_case, LONGEST_USE_CASE), ("text", text, LONGEST_TEXT)):
        if len(value) > longest:
            raise work.WorkError(field, f"It is longer than {longest:,} characters. Shorten it.")
        if value:
            try:
                check_text(value, field=field)
            except TextError as error:
                raise work.WorkError(field, str(error)) from error
    brief: dict[str, Any] = {"form": form}
    brief |= {
        name: value.strip() for name, value in (("text", text), ("use_case", use_case)) if value.strip()
    }
    if not demonstrate:
        brief["demonstrate"] = False
    return work.add_briefed_tasks(
        project=project, kind=Task.Kind.PROMPT, opening=[], brief=brief, count=count, wanted=1
    )


def check(answer: dict[str, Any], *, form: str) -> dict[str, Any]:
    """Return what was written to a brief of that form if it is whole.

    Raises:
        AnswerError: something is missing, empty or of the wrong type.
    """
    if form != Form.FEW_SHOT:
        _refuse(answer, FEW_SHOT, "This prompt is one text. Leave the parts of a few-shot prompt out.")
        return {
            **answer,
            "text": _text(answer, "text", "The prompt is empty. Write what a person would say."),
        }
    _refuse(answer, ("text",), "A few-shot prompt has an instruction, examples and an input. Leave this out.")
    _text(answer, "instruction", "The instruction is empty. Say what is to be done with each input.")
    examples = answer.get("examples")
    if not isinstance(examples, list) or not all(isinstance(one, dict) for one in examples):
        raise AnswerError("answer.examples", 'The examples must be a list: [{"input", "output"}, …].')
    if not FEWEST_EXAMPLES <= len(examples) <= MOST_EXAMPLES:
        raise AnswerError(
            "answer.examples",
            f"Give from {FEWEST_EXAMPLES} to {MOST_EXAMPLES} examples, not {len(examples)}.",
        )
    for at, one in enumerate(examples):
        field = f"answer.examples.{at}"
        if unknown := set(one) - {"input", "output"}:
            raise AnswerError(f"{field}.{min(unknown):.40}", "An example has an input and an output only.")
        for name in ("input", "output"):
            _text(one, name, f"Example {at + 1} has no {name}.", field=field)
    _text(answer, "input", "The last input is empty. Write what the model should answer.")
    return answer


def said(answer: Answer) -> str:
    """The user's turn that an answer writes."""
    if "text" in answer:
        return str(answer["text"]).strip()
    return few_shot(instruction=answer["instruction"], examples=answer["examples"], input=answer["input"])


def few_shot(*, instruction: str, examples: Sequence[Mapping[str, str]], input: str) -> str:
    """One text of an instruction, its examples and the input that is still to be answered.

    The paper prints no layout. Here a blank line stands between the parts, each pair is ``Input: …`` and
    below it ``Output: …``, and the last output is left to the model. The page's `few_shot.js` composes the
    same.
    """
    pairs = [f"Input: {one['input'].strip()}\nOutput: {one['output'].strip()}" for one in examples]
    return "\n\n".join([instruction.strip(), *pairs, f"Input: {input.strip()}\nOutput:"])


def _text(part: Mapping[str, Any], name: str, lack: str, *, field: str = "answer") -> str:
    value = part.get(name)
    if not isinstance(value, str) or not value.strip():
        raise AnswerError(f"{field}.{name}", lack)
    return value


def _refuse(answer: Answer, names: Sequence[str], why: str) -> None:
    for name in names:
        if name in answer:
            raise AnswerError(f"answer.{name}", why)
