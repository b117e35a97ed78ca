"""The same held-out prompts answered by two checkpoints, to be read side by side."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

from django.db.models import Exists, OuterRef, QuerySet

from labeling.models import Completion, Project, Prompt, Split
from models_zoo.models import Checkpoint

_WORD = re.compile(r"\s*\S+|\s+$")
ALIKE = 0.4
# Comparing takes the square of the length; a longer answer is read, not skimmed.
MOST_WORDS = 2_000


@dataclass(frozen=True, slots=True)
class Pair:
    """One prompt with both answers."""

    prompt: Prompt
    before: Completion
    after: Completion

    @property
    def words(self) -> list[tuple[str, bool]]:
        """The later answer in pieces, each with whether it is new; none is where the two are mostly apart."""
        old, new = (_WORD.findall(answer.text) for answer in (self.before, self.after))
        matcher = SequenceMatcher(a=old, b=new, autojunk=False)
        if max(len(old), len(new)) > MOST_WORDS or matcher.ratio() < ALIKE:
            return [(self.after.text, False)]
        pieces: list[tuple[str, bool]] = []
        for tag, _, _, first, last in matcher.get_opcodes():
            piece = "".join(new[first:last])
            # The space before a new word is not new.
            space = piece[: len(piece) - len(piece.lstrip())] if tag != "equal" else ""
            pieces += [(space, False), (piece[len(space) :], tag != "equal")]
        return [(piece, is_new) for piece, is_new in pieces if piece]


def pairs(
    *, project: Project, before: Checkpoint | None, after: Checkpoint | None, first: int = 0, most: int = 6
) -> list[Pair]:
    """Held-out prompts that both checkpoints answered, one answer each, in a fixed order; two queries.

    Answers drawn with the same seed are preferred: they differ by the checkpoint, not by chance. Empty where
    a checkpoint is missing or has answered none of them.
    """
    if before is None or after is None or before == after:
        return []
    answered = _answers(before).filter(prompt=OuterRef("prompt"))
    together = answered.filter(seed=OuterRef("seed"), index=OuterRef("index"))
    later = list(
        _answers(after)
        .filter(Exists(answered), prompt__project=project, prompt__split=Split.HELDOUT)
        .annotate(together=Exists(together))
        .select_related("prompt")
        .order_by("prompt", "-together", "seed", "index")
        .distinct("prompt")[first : first + most]
    )
    earlier: dict[int, list[Completion]] = {}
    for answer in _answers(before).filter(prompt__in=[answer.prompt_id for answer in later]):
        earlier.setdefault(answer.prompt_id, []).append(answer)
    return [Pair(answer.prompt, _nearest(earlier[answer.prompt_id], answer), answer) for answer in later]


def _answers(checkpoint: Checkpoint) -> QuerySet[Completion]:
    return Completion.objects.filter(checkpoint=checkpoint).order_by("seed", "index")


def _nearest(choices: list[Completion], answer: Completion) -> Completion:
    """The answer drawn with the same seed, else the first."""
    drawn = (answer.seed, answer.index)
    return next((each for each in choices if (each.seed, each.index) == drawn), choices[0])
