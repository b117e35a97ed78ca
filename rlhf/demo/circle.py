"""The whole circle without a person: demonstrations, fine-tuning, rankings, reward model, PPO, queue.

What a person would do goes through the HTTP API, and a worker does what workers do. At the end the models
are measured on held-out prompts against the taste's gold rule, which no trainer ever saw.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import CommandError

from labeling.models import Project, Task
from labeling.people import tokens
from labeling.people.projects import create_project
from labeling.simulated import simulate, taste
from models_zoo import registry, stories
from models_zoo.models import Checkpoint
from rlhf.checkpoints import evaluation
from rlhf.demo import samples as demo_samples
from rlhf.demo.house import House
from rlhf.models import Loop, Round, Run
from rlhf.rounds import sampling
from rlhf.runs import jobs
from rlhf.runs.child import cpu_of_imports

SLUG = "demo"
HELDOUT = 92
BEST_OF = 8
SHORT: dict[str, dict[str, Any]] = {
    "sft": {"epochs": 0.2},
    "reward": {"epochs": 2, "normalise_on": 32},
    "ppo": {"updates": 2, "rollouts": 16},
}


@dataclass(frozen=True)
class Wishes:
    """What the demo is asked for."""

    taste: taste.Taste = "kind"
    seed: int = 1
    labels: simulate.Mode = "honest"
    noise: str = "clear"
    labelers: int = 5
    rankings: int = 50
    demonstrations: int = 1_200
    force: bool = False
    short: bool = False


@dataclass
class Demo:
    """One demo under way: its platform's door, its project, and the figures so far."""

    wishes: Wishes
    say: Callable[[str], None]
    report: dict[str, Any] = field(default_factory=dict)
    wall: dict[str, float] = field(default_factory=dict)

    def run(self) -> dict[str, Any]:
        """Turn the circle and return the report. Raises CommandError in one line."""
        project, token = self._create()
        house = House(settings.HOME / "demo.log")
        try:
            self.house = house
            with httpx.Client(
                base_url=f"{house.url}/api/",
                headers={"Authorization": f"Token {token}"},
                timeout=60,
                trust_env=False,
            ) as self.client:
                with self._timed("import"):
                    self._import(project)
                with self._timed("sft_round"):
                    tuned = self._train("demonstrations")
                self._note_sft(tuned)
                with self._timed("labels"):
                    self._label(project, token)
                with self._timed("preference_round"):
                    trained = self._train("preferences")
            with self._timed("evaluation"):
                self._evaluate(project, tuned, trained)
        finally:
            house.close()
        self._note_queue(project, trained)
        self._note_costs(house)
        return self.report

    def _create(self) -> tuple[Project, str]:
        """The project, its owner's token and the shipped base model: the little that the API cannot make."""
        owner = User.objects.create_user("demo")
        project = create_project(
            slug=SLUG,
            name="Demo",
            guideline_title="How to rank pocket stories",
            guideline_body=(demo_samples.SHIPPED / "guideline.md").read_text(encoding="utf-8"),
            owner=owner,
        )
        project.current_checkpoint = registry.register(
            folder=demo_samples.SHIPPED / "base", name=f"{SLUG}-base", kind="base", licence="Apache-2.0"
        )
        project.save(update_fields=["current_checkpoint"])
        Loop.objects.filter(pk=sampling.loop_of(project).pk).update(
            tasks_per_round=self.wishes.rankings, knobs=SHORT if self.wishes.short else {}
        )
        return project, tokens.issue(user=owner, name="demo")

    def _import(self, project: Project) -> None:
        rng = random.Random(self.wishes.seed)
        for split in ("train", "heldout"):
            rows = [
                {"prompt": one.text, "split": split, "words": [one.animal, one.thing]}
                for one in stories.prompts(split)
            ]
            self._post(f"projects/{SLUG}/prompts/", {"rows": rows}, synthetic=True, source="the grammar")
        shown = [stories.demonstration(rng) for _ in range(self.wishes.demonstrations)]
        rows = [{"prompt": one.prompt.text, "completion": one.story} for one in shown]
        answer = self._post(
            f"projects/{SLUG}/demonstrations/", {"rows": rows}, synthetic=True, source="the grammar"
        )
        self.say(f"{answer['accepted']:,} demonstrations imported")
        heldout = settings.HOME / "heldout_prompts.jsonl"
        with heldout.open("w", encoding="utf-8") as file:
            for prompt in evaluation.heldout_prompts(project, count=HELDOUT):
                row = {"messages": prompt.messages, "words": prompt.metadata["words"]}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self.report["heldout_prompts"] = str(heldout)

    def _train(self, kind: str) -> Round:
        """Open, start and see through a round; the guard's stop is an end like another."""
        asked = {"kind": kind, "label_target": self.wishes.rankings}
        round = Round.objects.get(pk=self._post(f"projects/{SLUG}/rounds/", asked)["id"])
        Round.objects.filter(pk=round.pk).update(seed=self.wishes.seed * 1_000 + round.number)
        self._post(f"rounds/{round.pk}/start/", {"force": self.wishes.force})
        # The next round's tasks need be no more than a sign that the circle closed.
        told: set[str] = set()
        while True:
            self.house.alive()
            body = self._get(f"rounds/{round.pk}/")
            for step in body["steps"]:
                if step["state"] == "done" and step["name"] not in told:
                    told.add(step["name"])
                    self.say(f"{step['name']}: {step['detail']}")
            if body["state"] != "training":
                break
            time.sleep(0.5)
        round.refresh_from_db()
        failed = round.steps.filter(state="failed").first()
        if failed:
            raise CommandError(f"round {round.number}, {failed.name}: {failed.detail}")
        Loop.objects.filter(project__slug=SLUG).update(tasks_per_round=min(15, self.wishes.rankings))
        return round

    def _label(self, project: Project, token: str) -> None:
        wishes = self.wishes
        found = simulate.simulate(
            url=self.house.url,
            token=token,
            project=SLUG,
            taste=wishes.taste,
            noise=wishes.noise,
            labelers=wishes.labelers,
            labels=wishes.rankings,
            seed=wishes.seed,
            mode=wishes.labels,
        )
        keys = ("labelers", "pairs", "agreement_with_gold")
        self.report["labels"] = {"count": found["labels"], "mode": wishes.labels, "noise": wishes.noise}
        self.report["labels"] |= {key: found[key] for key in keys}
        share = found["agreement_with_gold"]
        self.say(f"{found['labels']} rankings of four, {share:.0%} of their pairs as gold has them")

    def _evaluate(self, project: Project, tuned: Round, trained: Round) -> None:
        """Held-out prompts, answered by the SFT checkpoint, its best of 8, and the policy."""
        prompts = evaluation.heldout_prompts(project, count=8 if self.wishes.short else HELDOUT)
        start, policy = tuned.checkpoint_after, trained.checkpoint_after
        judge = trained.runs.filter(algorithm="reward").latest("created_at").output
        assert start is not None
        assert judge is not None
        draws = 4 if self.wishes.short else 2 * BEST_OF
        many = self._answers(project, start, k=draws, seed=1, judge=judge)
        plain = self._answers(project, start, k=4, seed=2)
        words = [tuple(each["prompt"]["words"]) for each in plain]
        both = [taste.on_topic(each["text"], asked) for each, asked in zip(plain, words, strict=True)]
        self.report["sft"] |= {"both_words": sum(both) / len(both), "endings": _endings(plain)}
        self.report["reward"] = {
            "heldout_accuracy": evaluation.accuracy(many, self.wishes.taste),
            "checkpoint": str(judge.path),
            **{key: value for key, value in judge.figures.items() if "agreement" in key},
        }
        self.report["best_of_8"] = {"win_rate_vs_sft": self._best_of(many, plain)}
        self.report["ppo"] = self._policy(project, policy, plain, trained)
        self.say(f"measured on {len(prompts)} held-out prompts")

    def _best_of(self, many: list[Any], plain: list[Any]) -> float:
        """Gold win rate of the best of 8 by the reward model over one plain answer."""
        wins = []
        for at in range(0, 1 + max(each["index"] for each in many), BEST_OF):
            own = [each for each in many if at <= each["index"] < at + BEST_OF]
            best = [{**each, "index": at // BEST_OF} for each in evaluation.best_of(own)]
            wins.append(evaluation.compare(best, plain, taste=self.wishes.taste)["gold_win_rate"])
        return sum(wins) / len(wins)

    def _policy(
        self, project: Project, policy: Checkpoint | None, plain: list[Any], trained: Round
    ) -> dict[str, Any]:
        if policy is None:
            self.say(f"no policy: {trained.reason}")
            return {"stopped": trained.reason, "checkpoint": None, "win_rate_vs_sft": None}
        # Draws of its own, as best of 8 has: shared ones would tie where the policies agree.
        answers = self._answers(project, policy, k=4, seed=3)
        found = evaluation.compare(answers, plain, taste=self.wishes.taste)
        words = [tuple(each["prompt"]["words"]) for each in answers]
        both = [taste.on_topic(each["text"], asked) for each, asked in zip(answers, words, strict=True)]
        run = trained.runs.filter(algorithm="ppo").latest("created_at")
        return {
            "win_rate_vs_sft": found["gold_win_rate"],
            "win_rate_low": found["gold_win_rate_low"],
            "win_rate_high": found["gold_win_rate_high"],
            "kl_per_sequence": run.result["kl_per_sequence"],
            "kl_weight": run.config["knobs"]["kl"],
            "distinct_ratio_vs_sft": found["distinct_ratio"],
            "trigrams_ratio_vs_sft": found["trigrams_ratio"],
            "both_words": sum(both) / len(both),
            "endings": _endings(answers),
            "checkpoint": str(policy.path),
        }

    def _answers(
        self, project: Project, checkpoint: Checkpoint, *, k: int, seed: int, judge: Checkpoint | None = None
    ) -> list[dict[str, Any]]:
        prompts = evaluation.heldout_prompts(project, count=8 if self.wishes.short else HELDOUT)
        # Apart from every seed of the rounds.
        run = evaluation.sampling_run(
            project=project,
            checkpoint=checkpoint,
            prompts=prompts,
            k=k,
            seed=900_000_000 + 1_000 * self.wishes.seed + seed,
            judge=judge,
            knobs={"batch": 128},
        )
        run = jobs.execute(run.pk)
        if run.state != Run.State.DONE:
            raise CommandError(f"sampling from {checkpoint}: {run.error}")
        return list(sampling.answers_of(run))

    def _note_sft(self, tuned: Round) -> None:
        run = tuned.runs.get(algorithm="sft")
        assert tuned.checkpoint_after is not None
        self.report["sft"] = {key: run.result[key] for key in ("loss_first", "loss_last", "demonstrations")}
        self.report["sft"]["checkpoint"] = str(tuned.checkpoint_after.path)

    def _note_queue(self, project: Project, trained: Round) -> None:
        new = Task.objects.open().filter(
            project=project, kind=Task.Kind.RANK, candidates__completion__checkpoint=trained.checkpoint_after
        )
        fresh = new.distinct().count() if trained.checkpoint_after else 0
        self.report["queue"] = {
            "tasks_from_new_checkpoint": fresh,
            "open_tasks": Task.objects.open().filter(project=project).count(),
        }

    def _note_costs(self, house: House) -> None:
        runs = list(Run.objects.filter(project__slug=SLUG))
        cpu: dict[str, float] = {}
        for run in runs:
            name = run.algorithm if run.round_id else "evaluation"
            cpu[name] = cpu.get(name, 0.0) + (run.cpu_seconds or 0.0)
        within = [run for run in runs if run.round_id]
        used = sorted({run.algorithm for run in within})
        imports = {name: 0.0 if self.wishes.short else cpu_of_imports(name) for name in used}
        cpu["post_training"] = sum(run.cpu_seconds or 0.0 for run in within)
        cpu["imports"] = sum(imports[run.algorithm] for run in within)
        cpu["post_training_without_imports"] = cpu["post_training"] - cpu["imports"]
        # The worker's own: the kernel counts the trainers it waited for in with it.
        cpu["web"] = house.cpu_seconds["web"]
        cpu["worker"] = max(0.0, house.cpu_seconds["worker"] - cpu["post_training"])
        self.report["cpu_seconds"] = {name: round(seconds, 1) for name, seconds in cpu.items()}
        self.report["wall_seconds"] = {name: round(seconds, 1) for name, seconds in self.wall.items()}
        self.report["asked"] = asdict(self.wishes)

    def _post(self, path: str, body: dict[str, Any], **query: Any) -> Any:
        return self._answer("POST", path, json=body, params=query)

    def _get(self, path: str) -> Any:
        return self._answer("GET", path)

    def _answer(self, method: str, path: str, **given: Any) -> Any:
        try:
            answer = self.client.request(method, path, **given)
        except httpx.TransportError as error:
            self.house.alive()
            raise CommandError(f"the web server does not answer: {error}") from error
        if not answer.is_success:
            raise CommandError(
                f"{answer.request.url.path}: {answer.json().get('detail', answer.status_code)}"
            )
        return answer.json()

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.wall[name] = time.monotonic() - began


def write(report: dict[str, Any]) -> Path:
    """Keep the report in the state folder, whole or not at all."""
    place = settings.HOME / "report.json"
    aside = place.with_suffix(".tmp")
    aside.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return aside.replace(place)


def table(report: dict[str, Any]) -> str:
    """The report's figures, one a line."""
    wanted: list[tuple[str, str, str]] = [
        ("SFT loss", "sft.loss_first", ".3f"),
        ("SFT loss at the end", "sft.loss_last", ".3f"),
        ("SFT answers with both words", "sft.both_words", ".2f"),
        ("rankings", "labels.count", ",d"),
        ("their pairs as gold has them", "labels.agreement_with_gold", ".2f"),
        ("reward model, agreement with held-out labels", "reward.agreement", ".2f"),
        ("reward model, accuracy against gold", "reward.heldout_accuracy", ".3f"),
        ("best of 8 wins against SFT", "best_of_8.win_rate_vs_sft", ".3f"),
        ("PPO wins against SFT", "ppo.win_rate_vs_sft", ".3f"),
        ("PPO, KL a sequence", "ppo.kl_per_sequence", ".2f"),
        ("PPO, distinct answers against SFT's", "ppo.distinct_ratio_vs_sft", ".2f"),
        ("PPO, distinct trigrams against SFT's", "ppo.trigrams_ratio_vs_sft", ".2f"),
        ("happy endings, SFT", "sft.endings.happy", ".2f"),
        ("happy endings, PPO", "ppo.endings.happy", ".2f"),
        ("sad endings, SFT", "sft.endings.sad", ".2f"),
        ("sad endings, PPO", "ppo.endings.sad", ".2f"),
        ("new tasks in the queue", "queue.tasks_from_new_checkpoint", ",d"),
        ("CPU s of post-training, imports aside", "cpu_seconds.post_training_without_imports", ".0f"),
    ]
    lines = []
    for label, path, form in wanted:
        value: Any = report
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        lines.append(f"  {label:<46} {'–' if value is None else format(value, form)}")
    if stopped := report["ppo"].get("stopped"):
        lines += ["", f"  {stopped}"]
    return "\n".join(lines)


def _endings(answers: list[Any]) -> dict[str, float]:
    return taste.endings(each["text"] for each in answers)
