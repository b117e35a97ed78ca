"""Measure a checkpoint against another on held-out prompts: by a reward model, and by a taste's gold rule.

Gold is the simulated labelers' hidden rule. It may measure, here, and never train.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from labeling.models import Project, Prompt, Split
from labeling.simulated import taste as tastes
from models_zoo.models import Checkpoint
from rlhf.models import Run
from rlhf.rounds import sampling
from rlhf.runs import jobs

Answer = Mapping[str, Any]
Z = 1.96


def heldout_prompts(project: Project, *, count: int) -> list[Prompt]:
    """The first ``count`` held-out prompts by the hash of their text: the same ones every time.

    Raises:
        jobs.RunError: the project has none.
    """
    found = list(
        Prompt.objects.to_answer().filter(project=project, split=Split.HELDOUT).order_by("text_hash")[:count]
    )
    if not found:
        raise jobs.RunError("prompts", "The project has no held-out prompts. Import some with split heldout.")
    return found


def sampling_run(
    *,
    project: Project,
    checkpoint: Checkpoint,
    prompts: Iterable[Prompt],
    k: int,
    seed: int,
    judge: Checkpoint | None = None,
    knobs: Mapping[str, Any] | None = None,
    user: Any = None,
) -> Run:
    """A run in which ``checkpoint`` gives ``k`` answers to each prompt, scored where there is a ``judge``."""
    words = [
        {**row, "words": prompt.metadata.get("words")}
        for prompt, row in ((prompt, sampling.rows_for([prompt])[0]) for prompt in prompts)
    ]
    return jobs.create_run(
        project=project,
        algorithm="sample",
        inputs={"policy": checkpoint} | ({"reward_model": judge} if judge else {}),
        knobs={"k": k, **(knobs or {})},
        seed=seed,
        rows=words,
        user=user,
    )


def compare(
    answers: Sequence[Answer], against: Sequence[Answer], *, taste: tastes.Taste | None = None
) -> dict[str, Any]:
    """Win rates of ``answers`` over ``against``, each at equal prompt and index, and what else changed.

    Returns ``reward_win_rate`` where both carry rewards and ``gold_win_rate`` where a taste is named, each
    with a 95 % interval clustered by prompt; ties count half.
    """
    found: dict[str, Any] = {"answers": len(answers)}
    if all(each.get("reward") is not None for each in [*answers, *against]):
        found |= _wins("reward", answers, against, lambda each: each["reward"])
    if taste:
        found |= _wins("gold", answers, against, lambda each: gold(each, taste))
    for name, measure in (("distinct", distinct), ("trigrams", trigrams)):
        before = measure(against)
        found[f"{name}_ratio"] = measure(answers) / before if before else None
    for name, those in (("", answers), ("_against", against)):
        found[f"finished{name}"] = sum(each["finished"] for each in those) / len(those)
        found[f"words{name}"] = sum(len(each["text"].split()) for each in those) / len(those)
    return found


def gold(answer: Answer, taste: tastes.Taste) -> float:
    """How much the taste likes an answer. Raises jobs.RunError where its prompt asks for no two words."""
    words = answer["prompt"].get("words")
    if not words:
        raise jobs.RunError("taste", "A taste measures pocket stories only: the prompts name no two words.")
    return tastes.gold(answer["text"], taste=taste, words=tuple(words), finished=answer["finished"])


def best_of(answers: Iterable[Answer]) -> list[Answer]:
    """The answer of highest reward for each prompt, in the prompts' order."""
    best: dict[int, Answer] = {}
    for each in answers:
        standing = best.get(each["prompt_index"])
        if standing is None or each["reward"] > standing["reward"]:
            best[each["prompt_index"]] = each
    return [best[index] for index in sorted(best)]


def accuracy(answers: Sequence[Answer], taste: tastes.Taste) -> float:
    """Share of pairs of answers to one prompt that rewards order as gold does; gold's ties are left out."""
    by_prompt = defaultdict(list)
    for each in answers:
        by_prompt[each["prompt_index"]].append((gold(each, taste), each["reward"]))
    right = [
        (a[1] > b[1]) == (a[0] > b[0])
        for own in by_prompt.values()
        for i, a in enumerate(own)
        for b in own[:i]
        if a[0] != b[0]
    ]
    return sum(right) / len(right) if right else math.nan


def distinct(answers: Sequence[Answer]) -> float:
    """Share of answers that no other one equals."""
    return len({each["text"] for each in answers}) / len(answers)


def trigrams(answers: Sequence[Answer]) -> float:
    """Distinct word trigrams over all of them."""
    found: list[tuple[str, ...]] = []
    for each in answers:
        words = re.findall(r"\w+", each["text"].lower())
        found += zip(words, words[1:], words[2:], strict=False)
    return len(set(found)) / len(found) if found else 0.0


def _wins(
    name: str, answers: Sequence[Answer], against: Sequence[Answer], score: Callable[[Answer], float]
) -> dict[str, Any]:
    theirs = {(each["prompt_index"], each["index"]): score(each) for each in against}
    clusters = defaultdict(list)
    for each in answers:
        other = theirs.get((each["prompt_index"], each["index"]))
        if other is not None:
            mine = score(each)
            clusters[each["prompt_index"]].append((mine > other) + 0.5 * (mine == other))
    every = [win for wins in clusters.values() for win in wins]
    share, count = sum(every) / len(every), len(clusters)
    spread = sum(sum(win - share for win in wins) ** 2 for wins in clusters.values())
    half = Z * math.sqrt(spread * count / max(count - 1, 1)) / len(every)
    return {
        f"{name}_win_rate": share,
        f"{name}_win_rate_low": max(0.0, share - half),
        f"{name}_win_rate_high": min(1.0, share + half),
    }
