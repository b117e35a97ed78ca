"""Proximal policy optimisation against a reward model: `python -m rlhf.trainers.ppo RUN_DIR`.

Inputs: `policy`, `reward_model` (with its reward.json) and, where it is not the policy itself, `reference`;
data: prompts. An update samples answers, scores them at their end token, and makes `epochs` passes of
`minibatches` optimizer steps.

Method: InstructGPT (arXiv 2203.02155) with the N+ implementation details (arXiv 2403.17031): per-token k1
KL to the reference, normalised scores and a penalty for a missing end, GAE, whitened advantages, ratio and
value clipping, dropout off, Adam with eps 1e-5, gradient clipping. Departures: the critic is a copy of the
reward model whose head begins at zero (a head fit to whole answers is a poor first guess of a normalised
return); no PPO-ptx term.

Every draw comes from (seed, update, place), so a resumed run needs no generator's state and on a CPU ends
bit-identical. Only log-probabilities of answer tokens are kept, a micro-batch at a time: the logits of a
batch never exist at once.
"""

import json
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from models_zoo import chat, generate, load
from rlhf.trainers import ppo_math
from rlhf.trainers.command import execute
from rlhf.trainers.knobs import Ppo
from rlhf.trainers.run_directory import BadRun, RunDirectory, Stopped

CHANGEABLE = (
    "kl",
    "kl_target",
    "kl_horizon",
    "kl_stop",
    "learning_rate",
    "value_learning_rate",
    "clip",
    "value_clip",
)

Score = Callable[[list[str]], Sequence[float]]
"""Scores answers' texts in place of a reward model; taken as they are, not normalised."""


class Batch(NamedTuple):
    """One update's answers. ids, mask: (B, P + R); per answer token: (B, R); finished, scores: (B,)."""

    ids: torch.Tensor
    mask: torch.Tensor
    answer: torch.Tensor
    answer_mask: torch.Tensor
    finished: torch.Tensor
    old: torch.Tensor
    kl: torch.Tensor
    values: torch.Tensor
    scores: torch.Tensor


class Learner:
    """The models and optimizers of a run: policy and critic learn, reference and reward model stand still."""

    def __init__(self, run: RunDirectory, knobs: Ppo, score: Score | None) -> None:
        torch.manual_seed(run.seed)
        self.seed, self.score = run.seed, score
        place = load.device()
        folder = run.input("policy")
        self.tokenizer = load.tokenizer(folder)
        self.policy = load.causal_lm(folder).to(place)
        self.reference = (
            load.causal_lm(run.optional_input("reference") or folder).to(place).requires_grad_(False)
        )
        judge = run.optional_input("reward_model") if score else run.input("reward_model")
        self.mean, self.std = (0.0, 1.0) if score else _normalisation(judge or folder)
        self.reward_model = load.reward_model(judge or folder).to(place).requires_grad_(False)
        self.critic = load.reward_model(judge or folder).to(place)
        if self.reward_model.config.vocab_size != self.policy.config.vocab_size:
            raise BadRun(
                "inputs.reward_model: its tokenizer is not the policy's; train it from the same base"
            )
        torch.nn.init.zeros_(self.critic.score.weight)
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=knobs.learning_rate, eps=1e-5)
        self.value_optimizer = torch.optim.Adam(
            self.critic.parameters(), lr=knobs.value_learning_rate, eps=1e-5
        )
        self.coefficient = knobs.kl
        self.within: dict[str, torch.Tensor] | None = None

    def set_knobs(self, old: Ppo, new: Ppo) -> None:
        """Take over what control.json changed."""
        if new.kl != old.kl:
            self.coefficient = new.kl
        for optimizer, rate in (
            (self.optimizer, new.learning_rate),
            (self.value_optimizer, new.value_learning_rate),
        ):
            for group in optimizer.param_groups:
                group["lr"] = rate

    def save(self, folder: Path, knobs: Ppo) -> None:
        """Write all that the next update depends on."""
        state = {
            "policy": self.policy.state_dict(),
            "critic": self.critic.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "value_optimizer": self.value_optimizer.state_dict(),
            "coefficient": self.coefficient,
            "within": self.within,
            "knobs": asdict(knobs),
        }
        torch.save(state, folder / "learner.pt")

    def resume(self, folder: Path) -> Ppo:
        """Take up a saved state; returns the knobs in force when it was written."""
        state = torch.load(folder / "learner.pt", map_location=load.device(), weights_only=True)
        self.policy.load_state_dict(state["policy"])
        self.critic.load_state_dict(state["critic"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.value_optimizer.load_state_dict(state["value_optimizer"])
        self.coefficient = state["coefficient"]
        self.within = state["within"]
        return Ppo(**state["knobs"])

    def keep(self) -> None:
        """Remember the policy as it is, in main memory, for `go_back`."""
        self.within = {
            name: each.detach().to("cpu", copy=True) for name, each in self.policy.state_dict().items()
        }

    def go_back(self) -> bool:
        """Take up the policy that was kept; return whether there was one."""
        if self.within is None:
            return False
        self.policy.load_state_dict(self.within)
        self.within = None
        return True

    @torch.no_grad()
    def roll_out(self, knobs: Ppo, update: int, prompts: list[list[int]]) -> tuple[Batch, list[str]]:
        """Answer the prompts with the policy as it is and judge the answers: the batch and the texts."""
        rolled = generate.rollout(
            self.policy,
            self.tokenizer,
            prompts,
            seeds=[generate.seed_of(self.seed, update, row) for row in range(len(prompts))],
            sampling=generate.Sampling(temperature=knobs.temperature, max_new_tokens=knobs.max_new_tokens),
        )
        lengths = rolled.answer_mask.sum(1).tolist()
        texts = [
            self.tokenizer.decode(row[:length], skip_special_tokens=True)
            for row, length in zip(rolled.answer, lengths, strict=True)
        ]
        width = rolled.answer.size(1)
        old, reference, values, raw = [], [], [], []
        for at in torch.arange(len(prompts)).split(knobs.micro_batch):
            ids, mask, answer = rolled.ids[at], rolled.mask[at], rolled.answer[at]
            old.append(answer_log_probs(self.policy, ids, mask, answer, knobs.temperature))
            reference.append(answer_log_probs(self.reference, ids, mask, answer, knobs.temperature))
            values.append(load.token_scores(self.critic, ids, mask)[:, -width - 1 : -1])
            if self.score is None:
                raw.append(load.sequence_scores(self.reward_model, ids, mask))
        judged = torch.cat(raw) if raw else torch.tensor(self.score(texts), dtype=torch.float32)  # type: ignore[misc]
        scores = ppo_math.answer_scores(
            judged.to(rolled.ids.device),
            rolled.finished,
            mean=self.mean,
            std=self.std,
            missing_end=knobs.missing_end_score,
            clip=knobs.score_clip,
        )
        said = rolled.answer_mask.float()
        batch = Batch(
            ids=rolled.ids,
            mask=rolled.mask,
            answer=rolled.answer,
            answer_mask=said,
            finished=rolled.finished,
            old=torch.cat(old),
            kl=ppo_math.token_kl(torch.cat(old), torch.cat(reference), said),
            values=torch.cat(values) * said,
            scores=scores,
        )
        return batch, texts

    def learn(self, knobs: Ppo, update: int, batch: Batch) -> dict[str, float]:
        """All optimizer steps of one update; returns their mean figures."""
        rewards = ppo_math.token_rewards(
            batch.kl, batch.scores, batch.answer_mask, coefficient=self.coefficient
        )
        estimates, returns = ppo_math.advantages(
            rewards, batch.values, batch.answer_mask, discount=knobs.discount, gae_lambda=knobs.gae_lambda
        )
        advantage = ppo_math.whiten(estimates, batch.answer_mask)
        generator = torch.Generator().manual_seed(generate.seed_of(self.seed, update, -1))
        figures: list[dict[str, float]] = []
        for _ in range(knobs.epochs):
            for rows in torch.randperm(len(batch.ids), generator=generator).chunk(knobs.minibatches):
                figures.append(self._step(knobs, batch, advantage, returns, rows))
        return {name: sum(each[name] for each in figures) / len(figures) for name in figures[0]}

    def _step(
        self, knobs: Ppo, batch: Batch, advantage: torch.Tensor, returns: torch.Tensor, rows: torch.Tensor
    ) -> dict[str, float]:
        # Micro-batches add up to the gradient of the whole minibatch: each is weighted by its share of the
        # tokens.
        tokens = batch.answer_mask[rows].sum()
        width = batch.answer.size(1)
        sums = {"policy_loss": 0.0, "value_loss": 0.0, "clipped": 0.0, "approximate_kl": 0.0}
        self.optimizer.zero_grad()
        self.value_optimizer.zero_grad()
        for at in rows.split(knobs.micro_batch):
            ids, mask, said = batch.ids[at], batch.mask[at], batch.answer_mask[at]
            new = answer_log_probs(self.policy, ids, mask, batch.answer[at], knobs.temperature)
            losses, clipped = ppo_math.policy_losses(new, batch.old[at], advantage[at], clip=knobs.clip)
            policy_loss = (losses * said).sum() / tokens
            policy_loss.backward()
            values = load.token_scores(self.critic, ids, mask)[:, -width - 1 : -1]
            errors = ppo_math.value_losses(values, batch.values[at], returns[at], clip=knobs.value_clip)
            value_loss = (errors * said).sum() / tokens
            value_loss.backward()
            sums["policy_loss"] += policy_loss.item()
            sums["value_loss"] += value_loss.item()
            sums["clipped"] += ((clipped * said).sum() / tokens).item()
            sums["approximate_kl"] += (((batch.old[at] - new.detach()) * said).sum() / tokens).item()
        norm = torch.nn.utils.clip_grad_norm_(self.policy.parameters(), knobs.gradient_clip)
        torch.nn.utils.clip_grad_norm_(self.critic.parameters(), knobs.gradient_clip)
        self.optimizer.step()
        self.value_optimizer.step()
        return {**sums, "gradient_norm": norm.item()}


def answer_log_probs(
    model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor, answer: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Log-probabilities of the answers' tokens as drawn. ids, mask: (B, P + R), answer: (B, R) → (B, R)."""
    width = answer.size(1)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    output = model(
        input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=width + 1
    )
    logits = output.logits[:, :-1].float() / temperature
    return logits.gather(-1, answer[..., None])[..., 0] - logits.logsumexp(-1)


def prompts_for(count: int, *, update: int, rollouts: int, seed: int) -> list[int]:
    """Which of `count` prompts an update answers: shuffled passes over all of them, cut into updates."""
    first = update * rollouts
    return [_shuffled(count, seed, at // count)[at % count] for at in range(first, first + rollouts)]


def _shuffled(count: int, seed: int, turn: int) -> list[int]:
    order = list(range(count))
    random.Random(generate.seed_of(seed, turn)).shuffle(order)
    return order


def train(run: RunDirectory, *, score: Score | None = None) -> None:
    """Train as config.json says, and write output/ and result.json. `score` stands in for a reward model.

    Raises BadRun and Stopped.
    """
    knobs = run.knobs
    assert isinstance(knobs, Ppo)
    rows = run.rows()
    learner = Learner(run, knobs, score)
    prompts = [_prompt(learner.tokenizer, row, number) for number, row in enumerate(rows, 1)]
    newest, done = run.resume()
    if newest:
        knobs = learner.resume(newest)
    figures: dict[str, float] = {}
    for update in range(done, knobs.updates):
        knobs = _obey(run, knobs, learner, update)
        started = time.monotonic()
        chosen = prompts_for(len(prompts), update=update, rollouts=knobs.rollouts, seed=run.seed)
        batch, texts = learner.roll_out(knobs, update, [prompts[i] for i in chosen])
        figures = _figures(batch, texts, learner.coefficient)
        run.record_rollouts(
            list(_rollout_rows(update + 1, [rows[i]["prompt"] for i in chosen], batch, texts))
        )
        if knobs.kl_stop and figures["kl"] > knobs.kl_stop:
            run.log(
                f"update {update + 1}: KL {figures['kl']:.2f} a sequence is above kl_stop ({knobs.kl_stop}); "
                "the policy before its last update is kept"
            )
            done -= learner.go_back()
            break
        if knobs.kl_stop:
            learner.keep()
        figures |= learner.learn(knobs, update, batch)
        figures["seconds"] = time.monotonic() - started
        if knobs.kl_target:
            learner.coefficient = ppo_math.steer(
                learner.coefficient,
                kl=figures["kl"],
                target=knobs.kl_target,
                answers=knobs.rollouts,
                horizon=knobs.kl_horizon,
            )
        run.record(update + 1, **figures)
        run.progress(update + 1, knobs.updates)
        done = update + 1
        if done % knobs.checkpoint_every == 0 and done < knobs.updates:
            with run.checkpoint(done) as folder:
                learner.save(folder, knobs)
    _write(run, knobs, learner, prompts, done)


def _obey(run: RunDirectory, knobs: Ppo, learner: Learner, update: int) -> Ppo:
    asked = run.wait_while_paused()
    if asked.stop:
        with run.checkpoint(update) as folder:
            learner.save(folder, knobs)
        raise Stopped
    new = run.changed(knobs, asked, allowed=CHANGEABLE)
    assert isinstance(new, Ppo)
    if new != knobs:
        learner.set_knobs(knobs, new)
    return new


def _figures(batch: Batch, texts: list[str], coefficient: float) -> dict[str, float]:
    return {
        "reward": batch.scores.mean().item(),
        "kl": batch.kl.sum(1).mean().item(),
        "kl_coefficient": coefficient,
        "entropy": -ppo_math.masked_mean(batch.old, batch.answer_mask).item(),
        "length": batch.answer_mask.sum(1).mean().item(),
        "finished": batch.finished.float().mean().item(),
        "distinct": len(set(texts)) / len(texts),
        "value": ppo_math.masked_mean(batch.values, batch.answer_mask).item(),
    }


def _rollout_rows(
    step: int, prompts: list[list[chat.Message]], batch: Batch, texts: list[str]
) -> Iterator[dict[str, Any]]:
    for row, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
        yield {
            "step": step,
            "prompt": prompt,
            "completion": text,
            "reward": batch.scores[row].item(),
            "kl": batch.kl[row].sum().item(),
            "value": batch.values[row, 0].item(),
            "length": int(batch.answer_mask[row].sum()),
            "finished": bool(batch.finished[row]),
        }


def _write(run: RunDirectory, knobs: Ppo, learner: Learner, prompts: list[list[int]], done: int) -> None:
    # The last update's figures are of the policy before it; the result is measured on the policy that is
    # kept.
    last = _measure(run, knobs, learner, prompts)
    if knobs.kl_stop and last["kl"] > knobs.kl_stop and learner.go_back():
        done, last = done - 1, _measure(run, knobs, learner, prompts)
    result: dict[str, Any] = {
        "updates": done,
        "stopped_by_kl": done < knobs.updates,
        "kl_per_sequence": last["kl"],
        "reward_mean": last["reward"],
        **{name: last[name] for name in ("kl_coefficient", "entropy", "length", "finished", "distinct")},
    }
    with run.writing_output() as output:
        learner.policy.save_pretrained(output)
        learner.tokenizer.save_pretrained(output)
        run.describe(output, "Policy", result)
    run.finish(result)


def _measure(run: RunDirectory, knobs: Ppo, learner: Learner, prompts: list[list[int]]) -> dict[str, float]:
    chosen = prompts_for(len(prompts), update=knobs.updates, rollouts=knobs.rollouts, seed=run.seed)
    batch, texts = learner.roll_out(knobs, knobs.updates, [prompts[i] for i in chosen])
    return _figures(batch, texts, learner.coefficient)


def _normalisation(folder: Path) -> tuple[float, float]:
    try:
        found = json.loads((folder / "reward.json").read_text(encoding="utf-8"))
        return float(found["mean"]), float(found["std"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadRun(
            "inputs.reward_model: its reward.json with mean and std is missing or broken; train it again"
        ) from error


def _prompt(tokenizer: PreTrainedTokenizerBase, row: dict[str, Any], number: int) -> list[int]:
    try:
        return chat.prompt_ids(tokenizer, row["prompt"])
    except (KeyError, TypeError, IndexError) as error:
        raise BadRun(
            f'data.train: row {number} has no prompt; each row is {{"prompt": [{{"role", "content"}}, …]}}'
        ) from error


if __name__ == "__main__":
    sys.exit(execute(train, algorithm="ppo"))
