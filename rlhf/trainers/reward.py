"""A reward model from rankings of K answers: `python -m rlhf.trainers.reward RUN_DIR`.

By a subclass of `trl.RewardTrainer`. Every answer of a ranking is scored once and all its ordered pairs are
taken from those scores (InstructGPT, arXiv 2203.02155, equation 1, one ranking a batch element); ties give
no pair, a ranking counts by its weight, a margin asks for that much distance (Llama 2, arXiv 2307.09288).
Departures from TRL: the score is read at the end token, not at whatever the chat template prints last;
over-long rankings are counted, not dropped without a word.

The model starts from the input `policy`, a language model, with a fresh head. Its agreement with labels it
was not trained on is measured by cross-validation, because with few labels one split says nothing, and is
kept beside the weights in reward.json, with the mean and deviation of its scores on the policy's own
answers.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback
from trl import RewardConfig, RewardTrainer

from models_zoo import chat, generate, load
from rlhf.trainers import callback
from rlhf.trainers.adapter import lora, whole
from rlhf.trainers.agreement import Agreed, agreement, folds_of, intervals
from rlhf.trainers.command import execute
from rlhf.trainers.knobs import Reward
from rlhf.trainers.run_directory import BadRun, RunDirectory, Stopped

FEW = 200
"""Up to so many rankings the agreement is cross-validated."""


class GroupCollator:
    """Rankings to one padded batch of all their answers."""

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, rankings: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """input_ids, attention_mask: (N, T) over all answers; group, rank: (N,); weight, margin: (G,)."""
        rows = [ids for ranking in rankings for ids in ranking["answers"]]
        ids, mask = load.pad_right(rows, self.pad_id, torch.device("cpu"))
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "group": torch.tensor([g for g, ranking in enumerate(rankings) for _ in ranking["answers"]]),
            "rank": torch.tensor([rank for ranking in rankings for rank in ranking["ranks"]]),
            "weight": torch.tensor([float(ranking["weight"]) for ranking in rankings]),
            "margin": torch.tensor([float(ranking["margin"]) for ranking in rankings]),
        }


class GroupedRewardTrainer(RewardTrainer):
    """TRL's reward trainer, learning from whole rankings; the fresh head learns faster than the backbone."""

    def __init__(self, *, knobs: Reward, **rest: Any) -> None:
        self.knobs = knobs
        super().__init__(**rest)

    def _prepare_dataset(self, dataset: Dataset, *rest: Any, **named: Any) -> Dataset:
        return dataset

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns = ["answers", "ranks", "weight", "margin"]

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW with a rate of its own for the head."""
        self.optimizer: torch.optim.Optimizer | None
        if self.optimizer is None:
            named = [(name, each) for name, each in self.model.named_parameters() if each.requires_grad]
            groups = [
                {
                    "params": [each for name, each in named if "score" not in name],
                    "lr": self.knobs.learning_rate,
                },
                {
                    "params": [each for name, each in named if "score" in name],
                    "lr": self.knobs.head_learning_rate,
                },
            ]
            self.optimizer = torch.optim.AdamW(groups, weight_decay=self.knobs.weight_decay)
        return self.optimizer

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The grouped loss and, under `accuracy`, the share of pairs scored in the labelers' order."""
        scores = load.sequence_scores(model, inputs["input_ids"], inputs["attention_mask"])
        group, rank = inputs["group"], inputs["rank"]
        loss = grouped_loss(scores, group=group, rank=rank, weight=inputs["weight"], margin=inputs["margin"])
        loss = loss + self.knobs.centre * scores.square().mean()
        better, worse = ordered_pairs(group, rank)
        if len(better):
            right = (scores[better] > scores[worse]).float().mean().item()
            self._metrics["train" if model.training else "eval"]["accuracy"].append(right)
        return (loss, {"scores": scores}) if return_outputs else loss


def ordered_pairs(group: torch.Tensor, rank: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """All pairs (better, worse) within a group whose ranks differ; 0 is best. group, rank: (N,)."""
    better, worse = ((group[:, None] == group[None]) & (rank[:, None] < rank[None])).nonzero(as_tuple=True)
    return better, worse


def grouped_loss(
    scores: torch.Tensor,
    *,
    group: torch.Tensor,
    rank: torch.Tensor,
    weight: torch.Tensor,
    margin: torch.Tensor,
) -> torch.Tensor:
    """−log sigmoid(better − worse − margin): mean over a ranking's pairs, weighted mean over rankings.

    scores, group, rank: (N,) over answers; weight, margin: (G,) over rankings → scalar. Rankings without a
    pair do not count.
    """
    better, worse = ordered_pairs(group, rank)
    of = group[better]
    each = -F.logsigmoid(scores[better] - scores[worse] - margin[of])
    pairs = torch.zeros_like(weight).index_add(0, of, torch.ones_like(each))
    mean = torch.zeros_like(weight).index_add(0, of, each) / pairs.clamp(min=1)
    counted = weight * (pairs > 0)
    return (mean * counted).sum() / counted.sum().clamp(min=1e-8)


def train(run: RunDirectory) -> None:
    """Train as config.json says; write output/ with reward.json, and result.json. Raises BadRun, Stopped."""
    knobs = run.knobs
    assert isinstance(knobs, Reward)
    folder = run.input("policy")
    tokenizer = load.tokenizer(folder)
    rankings, left_out = _read(run, tokenizer, "train")
    folds: list[list[int]] = []
    trained_on = rankings
    if "heldout" in run.data:
        heldout, _ = _read(run, tokenizer, "heldout")
    elif len(rankings) <= FEW:
        heldout = []
        folds = folds_of([ranking["cluster"] for ranking in rankings], knobs.folds)
    else:
        held = set(next(iter(folds_of([ranking["cluster"] for ranking in rankings], 10)), []))
        heldout = [ranking for i, ranking in enumerate(rankings) if i in held]
        trained_on = [ranking for i, ranking in enumerate(rankings) if i not in held]
    fold_steps = [math.ceil((len(rankings) - len(fold)) / knobs.batch) * knobs.epochs for fold in folds]
    trainer = _trainer(run, knobs, folder, tokenizer, trained_on)
    losses = callback.train(trainer, run, more_steps=sum(fold_steps))
    model = whole(trainer.model).eval()
    if folds:
        found = cross_validate(
            run, knobs, folder, tokenizer, rankings, folds, trainer.state.max_steps, fold_steps
        )
    else:
        found = _agreements(model, tokenizer, heldout)
    learned = _agreements(model, tokenizer, trained_on)
    mean, deviation = _normalisation(run, knobs, folder, tokenizer, model, trained_on)
    figures = {
        **intervals(found),
        "agreement_by": f"{len(folds)} folds" if folds else "held-out labels",
        "pairs": sum(agreed.pairs for _, agreed in found),
        "groups": len(found),
        "left_out": left_out,
        "mean": mean,
        "std": deviation,
        "accuracy_train": intervals(learned)["agreement"],
        "loss_first": losses[0] if losses else None,
        "loss_last": losses[-1] if losses else None,
    }
    with run.writing_output() as output:
        model.save_pretrained(output)
        tokenizer.save_pretrained(output)
        (output / "reward.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        run.describe(output, "Reward model", figures)
    run.finish(figures)


def cross_validate(
    run: RunDirectory,
    knobs: Reward,
    folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    rankings: list[dict[str, Any]],
    folds: list[list[int]],
    done: int,
    steps: list[int],
) -> list[tuple[str, Agreed]]:
    """Train without each fold, as on the whole, and measure there: each ranking with its cluster."""
    found: list[tuple[str, Agreed]] = []
    for at, fold in enumerate(folds):
        rest = [ranking for i, ranking in enumerate(rankings) if i not in set(fold)]
        trainer = _trainer(run, knobs, folder, tokenizer, rest, save=False)
        before, of = done + sum(steps[:at]), done + sum(steps)
        trainer.add_callback(_FoldCallback(run, before, of))
        trainer.train()
        found += _agreements(whole(trainer.model).eval(), tokenizer, [rankings[i] for i in fold])
        run.log(f"fold {at + 1} of {len(folds)}: agreement {intervals(found)['agreement']:.3f} so far")
    return found


class _FoldCallback(TrainerCallback):
    """Progress and control within a fold; a stopped cross-validation begins again from the trained model."""

    def __init__(self, run: RunDirectory, before: int, of: int) -> None:
        self.run, self.before, self.of = run, before, of

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.run.progress(self.before + state.global_step, self.of)
        if self.run.wait_while_paused().stop:
            raise Stopped


def _trainer(
    run: RunDirectory,
    knobs: Reward,
    folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    rankings: list[dict[str, Any]],
    *,
    save: bool = True,
) -> GroupedRewardTrainer:
    torch.manual_seed(run.seed)
    model = load.reward_model(folder)
    model.config.pad_token_id = tokenizer.pad_token_id
    # N+ implementation details (arXiv 2403.17031): the head begins at N(0, 1/sqrt(d + 1)).
    torch.nn.init.normal_(model.score.weight, std=1 / math.sqrt(model.config.hidden_size + 1))
    steps = math.ceil(len(rankings) / knobs.batch) * knobs.epochs
    settings = callback.trl_settings(run, checkpoint_every=knobs.checkpoint_every)
    if not save:
        settings["save_strategy"] = "no"
        settings["logging_strategy"] = "no"
        settings.pop("logging_first_step")
    arguments = RewardConfig(
        **settings,
        num_train_epochs=knobs.epochs,
        per_device_train_batch_size=knobs.batch,
        learning_rate=knobs.learning_rate,
        lr_scheduler_type="linear",
        max_grad_norm=knobs.gradient_clip,
        max_length=knobs.max_length,
        logging_steps=max(1, steps // 50),
    )
    columns = ("answers", "ranks", "weight", "margin")
    trainer = GroupedRewardTrainer(
        knobs=knobs,
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list([{name: ranking[name] for name in columns} for ranking in rankings]),
        processing_class=tokenizer,
        data_collator=GroupCollator(int(tokenizer.pad_token_id)),
        peft_config=lora(knobs.lora_rank, task="SEQ_CLS", heads=["score"]),
    )
    if not save:
        trainer.remove_callback(callback.PrinterCallback)
    return trainer


def _agreements(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rankings: list[dict[str, Any]]
) -> list[tuple[str, Agreed]]:
    rows = [ids for ranking in rankings for ids in ranking["answers"]]
    scores = iter(load.scores(model, rows, pad_id=int(tokenizer.pad_token_id)) if rows else [])
    found = []
    for ranking in rankings:
        own = [next(scores) for _ in ranking["answers"]]
        found.append((ranking["cluster"], agreement(own, ranking["ranks"])))
    return found


def _normalisation(
    run: RunDirectory,
    knobs: Reward,
    folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    rankings: list[dict[str, Any]],
) -> tuple[float, float]:
    # On fresh answers: on those it was trained on, a reward model is surer than it will be in PPO.
    policy = load.causal_lm(folder).to(load.device())
    longest = max(len(ids) - ranking["prompt_tokens"] for ranking in rankings for ids in ranking["answers"])
    scores: list[float] = []
    for start in range(0, knobs.normalise_on, 64):
        wanted = range(start, min(start + 64, knobs.normalise_on))
        prompts = [rankings[i % len(rankings)]["prompt"] for i in wanted]
        rolled = generate.rollout(
            policy,
            tokenizer,
            prompts,
            seeds=[generate.seed_of(run.seed, i) for i in wanted],
            sampling=generate.Sampling(max_new_tokens=longest),
        )
        with torch.no_grad():
            scores += load.sequence_scores(model.to(load.device()), rolled.ids, rolled.mask).tolist()
    found = torch.tensor(scores)
    return found.mean().item(), max(found.std().item(), 1e-6)


def _read(
    run: RunDirectory, tokenizer: PreTrainedTokenizerBase, name: str
) -> tuple[list[dict[str, Any]], int]:
    knobs = run.knobs
    assert isinstance(knobs, Reward)
    rankings, left_out = [], 0
    for number, row in enumerate(run.rows(name), 1):
        ranking = _ranking(row, f"data.{name}: row {number}", tokenizer)
        if max(map(len, ranking["answers"])) > knobs.max_length:
            left_out += 1
        elif ranking["weight"] > 0:
            rankings.append(ranking)
    if left_out:
        run.log(f"data.{name}: {left_out} rankings exceed max_length ({knobs.max_length}) and are left out")
    if not any(len(set(ranking["ranks"])) > 1 for ranking in rankings):
        raise BadRun(
            f"data.{name}: no ranking prefers any answer to another; add labels or raise knobs.max_length"
        )
    return rankings, left_out


def _ranking(row: dict[str, Any], where: str, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    prompt, completions, ranks = row.get("prompt"), row.get("completions"), row.get("ranks")
    if not isinstance(prompt, list) or not prompt:
        raise BadRun(f"{where} has no prompt; give the messages before the answer")
    if not isinstance(completions, list) or len(completions) < 2:
        raise BadRun(f"{where} has no completions; give two or more answers")
    if (
        not isinstance(ranks, list)
        or len(ranks) != len(completions)
        or not all(type(r) is int for r in ranks)
    ):
        raise BadRun(f"{where} needs as many whole-number ranks as completions, 0 best")
    finished = row.get("finished") or [True] * len(completions)
    weight, margin = row.get("weight", 1.0), row.get("margin") or 0.0
    if len(finished) != len(completions):
        raise BadRun(f"{where} needs as many `finished` marks as completions")
    if not isinstance(weight, int | float) or not weight >= 0 or not isinstance(margin, int | float):
        raise BadRun(f"{where} has a weight or margin that is no number of 0 or more")
    try:
        begin = chat.prompt_ids(tokenizer, prompt)
        answers = [
            begin + chat.answer_ids(tokenizer, answer[-1]["content"], finished=bool(done))
            for answer, done in zip(completions, finished, strict=True)
        ]
    except (KeyError, IndexError, TypeError) as error:
        raise BadRun(f"{where} has a message without role and content") from error
    return {
        "prompt": begin,
        "prompt_tokens": len(begin),
        "answers": answers,
        "ranks": ranks,
        "weight": float(weight),
        "margin": float(margin),
        "cluster": json.dumps(prompt, sort_keys=True),
    }


if __name__ == "__main__":
    sys.exit(execute(train, algorithm="reward"))
