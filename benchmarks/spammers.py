"""Whether labelers who do not judge are told from those who do, after 30 labels each.

    python -m benchmarks.spammers [--repeats 20] [--seed N] [--answers 4] [--overlap 3] [--short] [--json]

Every repeat is a fresh crew of 50 on fresh tasks. Ten are spammers, two of each kind: *random*; *first* (the
order shown) and *longest* (by length), each kept to 19 times in 20; *colluding* (a pair that takes tasks side
by side and hands in the same order, drawn by lot); *pasted* (rank as honest people do, but of what they write
themselves nine words in ten are a model's completion of the prompt). One label in five is a demonstration,
the others rank four answers, and in a second, harder measurement (`pairs`) two. Every task is labeled by
three people, in the order in which a queue would hand them out. `auc` is the chance that a spammer looks
more suspicious than an honest labeler of the same crew.

Honest labelers rank by a noisy Bradley–Terry draw (Plackett–Luce) on an answer's worth, some taste for length
and for what is shown first; the better answers are longer as well. Their sharpness varies, and one in six is
weak: on average two honest ones agree on 72–73 % of pairs, as InstructGPT's did. Their demonstrations and the
models' are pocket stories about the same animal and thing, from one grammar. No gold is used. The reward
model of the second figure is right on about 70 % of honest labels.

What is not covered: spammers who mix kinds or learn, and people.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import dataclass
from typing import Any

import numpy as np

from labeling.quality import habits, rankings, reliability
from labeling.quality.labels import Floats, Ints, Labels
from labeling.quality.suspicion import Suspicion
from models_zoo import stories

LABELERS, EACH_KIND = 50, 2
KINDS = ("random", "first", "longest", "colluding", "pasted")
DEMONSTRATIONS = 5
COMPLETIONS = 4
KEPT = 0.95
PASTED_WORDS = 0.9
SIDE_BY_SIDE = 0.8
# Honest taste: sharpness, its spread, the weak; what length and place add, in standard deviations of worth.
SHARPNESS, SPREAD, WEAK, WEAKER = 1.95, 0.3, 1 / 6, 0.45
LENGTH, PLACE = 0.2, 0.3
LONGER = 0.4
RM_NOISE = 0.9


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spammers", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="the first seed; each repeat has the next")
    parser.add_argument("--answers", type=int, default=4, metavar="K", help="answers ranked in a task (4)")
    parser.add_argument("--overlap", type=int, default=3, metavar="N", help="labels a task (3)")
    parser.add_argument("--short", action="store_true", help="two repeats: does it run?")
    parser.add_argument("--json", action="store_true", help="one object as the last line")
    options = parser.parse_args()
    if min(options.repeats, options.answers - 1, options.overlap - 1) < 1:
        parser.error("--repeats must be 1 or more, --answers and --overlap 2 or more")
    seeds = range(options.seed, options.seed + (2 if options.short else options.repeats))
    result = measure(seeds=seeds, answers=options.answers, overlap=options.overlap)
    result["pairs"] = measure(seeds=seeds, answers=2, overlap=options.overlap)
    print(table(result))
    if options.json:
        print(json.dumps(result))


def measure(*, seeds: range, answers: int = 4, overlap: int = 3) -> dict[str, Any]:
    """AUC at 30 labels, and at 15 with and without the reward model, each overall and by kind."""
    cases = {"auc_at_30": (30, False), "auc_at_15_with_rm": (15, True), "auc_at_15": (15, False)}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in cases}
    about: list[dict[str, float]] = []
    for seed in seeds:
        for name, (labels, with_rm) in cases.items():
            crew = Crew(seed=seed, labels=labels, answers=answers, overlap=overlap)
            measured = reliability.measure(crew.evidence(with_rm=with_rm))
            found[name].append(crew.aucs(measured.suspicion.odds) | crew.suspected(measured.suspicion))
            if name == "auc_at_30":
                about.append(crew.about())
    result: dict[str, Any] = {
        name: round(float(np.mean([each["all"] for each in runs])), 4) for name, runs in found.items()
    }
    result["by_kind"] = {
        name: {kind: round(float(np.mean([each[kind] for each in runs])), 4) for kind in KINDS}
        for name, runs in found.items()
    }
    for who in ("honest", "spammers"):
        result[f"{who}_suspected"] = {
            name: round(float(np.mean([each[who] for each in runs])), 4) for name, runs in found.items()
        }
    result["worst"] = {
        name: round(float(np.min([each["all"] for each in runs])), 4) for name, runs in found.items()
    }
    result["world"] = {name: round(float(np.mean([each[name] for each in about])), 3) for name in about[0]}
    return result | {"repeats": len(seeds), "seed": seeds.start, "answers": answers, "overlap": overlap}


@dataclass(frozen=True, eq=False)
class Rankings:
    """Rows of rankings, (rows,) each: who placed which candidate of a task where, and how it was shown."""

    task: Ints
    labeler: Ints
    candidate: Ints
    place: Ints
    shown: Ints


class Crew:
    """One repeat: fifty people, their tasks and what they handed in."""

    def __init__(self, *, seed: int, labels: int, answers: int, overlap: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.texts_rng = random.Random(seed)
        kinds = [kind for kind in KINDS for _ in range(EACH_KIND)]
        self.kind = self.rng.permutation(kinds + ["honest"] * (LABELERS - len(kinds)))
        weak = self.rng.random(LABELERS) < WEAK
        self.sharpness = SHARPNESS * np.exp(SPREAD * self.rng.normal(size=LABELERS))
        self.sharpness *= np.where(weak, WEAKER, 1)
        self.answers, self.demonstrations = answers, max(1, labels // DEMONSTRATIONS)
        self.taken = self._queue(labels - self.demonstrations, overlap)
        tasks = int(self.taken[:, 0].max()) + 1
        self.worth = self.rng.normal(size=(tasks, answers))
        self.length = LONGER * self.worth + np.sqrt(1 - LONGER**2) * self.rng.normal(size=(tasks, answers))
        self.rm = 1.5 * (self.worth + RM_NOISE * self.rng.normal(size=(tasks, answers)))
        self.rankings = self._rankings()

    def evidence(self, *, with_rm: bool) -> reliability.Evidence:
        """What a platform would know: choices between two answers, order shown, lengths, texts."""
        pairs, first, longest = self._pairs()
        chosen = np.where(pairs.label == rankings.FIRST, 0, 1)
        one, other = pairs.first, pairs.second
        units = int(pairs.unit.max()) + 1
        rm = np.full((units, 2), np.nan)
        lead = self.rm.reshape(-1)[one] - self.rm.reshape(-1)[other]
        rm[pairs.unit] = np.stack((-np.log1p(np.exp(-lead)), -np.log1p(np.exp(lead))), 1)
        pasted = self._pasted()
        return reliability.Evidence(
            labels=Labels(pairs.unit, pairs.labeler, chosen, range(units), range(LABELERS), (0, 1)),
            form="pair",
            weight=np.full(len(chosen), 2 / self.answers),
            first=first,
            longest=longest,
            rm=rm if with_rm else None,
            pasted=pasted,
            texts=np.full(LABELERS, self.demonstrations),
        )

    def aucs(self, odds: Floats) -> dict[str, float]:
        """P(a spammer's odds exceed an honest labeler's), ties half: overall and by kind."""
        honest = odds[self.kind == "honest"]
        wins = (odds[:, None] > honest).mean(1) + 0.5 * (odds[:, None] == honest).mean(1)
        by_kind = {kind: float(wins[self.kind == kind].mean()) for kind in KINDS}
        return by_kind | {"all": float(wins[self.kind != "honest"].mean())}

    def suspected(self, doubt: Suspicion) -> dict[str, float]:
        """Shares of the honest and of the spammers whom the cockpit would point out."""
        out, honest = doubt.probability >= reliability.SUSPECT, self.kind == "honest"
        return {"honest": float(out[honest].mean()), "spammers": float(out[~honest].mean())}

    def about(self) -> dict[str, float]:
        """How real it is: agreement of honest labelers, their habits, and the reward model's accuracy."""
        pairs, first, longest = self._pairs()
        honest = (self.kind == "honest")[pairs.labeler]
        kept = rankings.Pairs(*(getattr(pairs, name)[honest] for name in vars(pairs)))
        right = (self.rm.reshape(-1)[kept.first] > self.rm.reshape(-1)[kept.second]) == (kept.label == 0)
        return {
            "honest_agreement": rankings.measure(kept).raw,
            "honest_first": float(first[honest].mean()),
            "honest_longest": float(longest[honest].mean()),
            "rm_accuracy": float(right.mean()),
        }

    def _pairs(self) -> tuple[rankings.Pairs, Ints, Ints]:
        """The rankings as pairs, and whether each choice fell on what was shown first and on the longer."""
        told = self.rankings
        pairs = rankings.expand(told.task, told.labeler, told.candidate, told.place)
        shown = np.zeros((LABELERS, self.worth.size), np.int64)
        shown[told.labeler, told.candidate] = told.shown
        length = self.length.reshape(-1)
        took_first = pairs.label == rankings.FIRST
        earlier = shown[pairs.labeler, pairs.first] < shown[pairs.labeler, pairs.second]
        longer = length[pairs.first] > length[pairs.second]
        return pairs, (took_first == earlier).astype(np.int64), (took_first == longer).astype(np.int64)

    def _queue(self, each: int, overlap: int) -> Ints:
        """(labels, 2): task and labeler, as people come by in any order and take the oldest open task."""
        colluders = np.flatnonzero(self.kind == "colluding").tolist()
        left, takers = np.full(LABELERS, each), list[set[int]]()
        oldest = 0

        def take(labeler: int) -> int:
            nonlocal oldest
            while oldest < len(takers) and len(takers[oldest]) >= overlap:
                oldest += 1
            for task in range(oldest, len(takers)):
                if len(takers[task]) < overlap and labeler not in takers[task]:
                    break
            else:
                takers.append(set())
                task = len(takers) - 1
            takers[task].add(labeler)
            left[labeler] -= 1
            return task

        while left.any():
            labeler = int(self.rng.choice(np.flatnonzero(left)))
            task = take(labeler)
            partner = colluders[1 - colluders.index(labeler)] if labeler in colluders else -1
            beside = partner >= 0 and left[partner] and self.rng.random() < SIDE_BY_SIDE
            if beside and len(takers[task]) < overlap and partner not in takers[task]:
                takers[task].add(partner)
                left[partner] -= 1
        return np.array([(task, labeler) for task, people in enumerate(takers) for labeler in sorted(people)])

    def _rankings(self) -> Rankings:
        """Everybody's order of everything they took."""
        task, labeler = self.taken.T
        rows, k = len(task), self.answers
        shown = np.argsort(self.rng.random((rows, k)), 1)
        felt = self.worth[task] + LENGTH * self.length[task] + PLACE * (shown == 0)
        score = self.sharpness[labeler][:, None] * felt + self.rng.gumbel(size=(rows, k))
        kind = self.kind[labeler]
        chance = self.rng.random((rows, k))
        lot = self.rng.random(self.worth.shape)[task]
        strict = (self.rng.random(rows) < KEPT)[:, None]
        for name, rule in (("first", -shown), ("longest", self.length[task])):
            score = np.where((kind == name)[:, None], np.where(strict, rule, chance), score)
        score = np.where((kind == "random")[:, None], chance, score)
        score = np.where((kind == "colluding")[:, None], lot, score)
        place = np.argsort(np.argsort(-score, 1), 1)
        candidate = task[:, None] * k + np.arange(k)
        return Rankings(
            np.repeat(task, k), np.repeat(labeler, k), candidate.ravel(), place.ravel(), shown.ravel()
        )

    def _pasted(self) -> Ints:
        """(labelers,) how many of each one's demonstrations are nearly a completion of their prompt."""
        rng, found = self.texts_rng, np.zeros(LABELERS, np.int64)
        for labeler in range(LABELERS):
            texts, sources = [], []
            for _ in range(self.demonstrations):
                asked = stories.prompt(rng)
                models = [stories.story(rng, asked.animal, asked.thing) for _ in range(COMPLETIONS)]
                own = stories.story(rng, asked.animal, asked.thing)
                texts.append(_touched_up(rng, models[0]) if self.kind[labeler] == "pasted" else own)
                sources.append(models)
            found[labeler] = (habits.copied(texts, sources) >= habits.NEARLY).sum()
        return found


def _touched_up(rng: random.Random, text: str) -> str:
    """A text with one word in ten changed, in one stretch, as somebody does who does not want to be seen."""
    words = text.split()
    many = round((1 - PASTED_WORDS) * len(words))
    at = rng.randrange(len(words) - many + 1)
    return " ".join(
        [*words[:at], *rng.choices(("and", "then", "so", "very", "really"), k=many), *words[at + many :]]
    )


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    return "\n".join([*_rows(result), "", *_rows(result["pairs"])])


def _rows(result: dict[str, Any]) -> list[str]:
    names = {"auc_at_30": "30 labels", "auc_at_15_with_rm": "15, with RM", "auc_at_15": "15"}
    kinds = "".join(f"{kind:>11}" for kind in KINDS)
    lines = [f"{'AUC':14}{'all':>8}{'worst':>8}{kinds}   pointed out: spammers, honest"]
    for name, words in names.items():
        cells = "".join(f"{result['by_kind'][name][kind]:>11.3f}" for kind in KINDS)
        caught, wronged = (result[f"{who}_suspected"][name] for who in ("spammers", "honest"))
        lines.append(
            f"{words:14}{result[name]:>8.3f}{result['worst'][name]:>8.3f}{cells}{caught:>24.1%}{wronged:>8.1%}"
        )
    world, spammers = result["world"], EACH_KIND * len(KINDS)
    return [
        *lines,
        f"{result['repeats']} crews of {LABELERS}, {spammers} spammers each; {result['answers']} answers and "
        f"{result['overlap']} labels a task.",
        f"Honest labelers agree on {world['honest_agreement']:.1%} of pairs, prefer what is shown first "
        f"{world['honest_first']:.1%} and the longer {world['honest_longest']:.1%}; the reward model agrees "
        f"with {world['rm_accuracy']:.1%}.",
    ]


if __name__ == "__main__":
    main()
