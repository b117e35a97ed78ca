"""Sampling: reproducible one by one, cut at the end token, whatever the batch."""

import pytest
import torch

from models_zoo import chat, generate, load, stories
from tests.runs import SFT, messages


@pytest.fixture(scope="module")
def model():
    return load.causal_lm(SFT)


@pytest.fixture(scope="module")
def tokenizer():
    return load.tokenizer(SFT)


def conversations(count):
    return [messages(prompt) for prompt in stories.prompts("heldout")[:count]]


def sampled(model, tokenizer, asked, seeds, **parameters):
    return list(
        generate.sample(
            model, tokenizer, asked, seeds=seeds, sampling=generate.Sampling(**parameters), batch_size=8
        )
    )


def test_completion_follows_from_its_seed_alone(model, tokenizer):
    asked, seeds = conversations(8), [generate.seed_of(1, i) for i in range(8)]
    together = sampled(model, tokenizer, asked, seeds)
    alone = [sampled(model, tokenizer, [asked[i]], [seeds[i]])[0] for i in range(8)]
    assert together == alone


def test_seeds_differ(model, tokenizer):
    asked = conversations(1) * 8
    assert len({each.text for each in sampled(model, tokenizer, asked, range(8))}) == 8


def test_answer_is_cut_after_its_end(model, tokenizer):
    prompts = [chat.prompt_ids(tokenizer, each) for each in conversations(8)]
    rolled = generate.rollout(model, tokenizer, prompts, seeds=range(8), sampling=generate.Sampling())
    for answer, mask, finished in zip(rolled.answer, rolled.answer_mask, rolled.finished, strict=True):
        said = answer[mask.bool()].tolist()
        assert finished == (said[-1] == tokenizer.eos_token_id)
        assert tokenizer.eos_token_id not in said[:-1]
        assert (answer[len(said) :] == tokenizer.pad_token_id).all()


def test_short_limit_leaves_answers_unfinished(model, tokenizer):
    for each in sampled(model, tokenizer, conversations(4), range(4), max_new_tokens=5):
        assert (each.finished, each.tokens) == (False, 5)


def test_training_mode_is_given_back(model, tokenizer):
    model.train()
    sampled(model, tokenizer, conversations(1), [1], max_new_tokens=2)
    assert model.training
    model.eval()


def test_pick_by_inverse_transform():
    logits = torch.tensor([0.5, 0.3, 0.2]).log().repeat(4, 1)
    draws = torch.tensor([0.0, 0.49, 0.79, 0.99], dtype=torch.float64)
    assert generate.pick(logits, draws, generate.Sampling()).tolist() == [0, 0, 1, 2]
    assert generate.pick(logits, draws, generate.Sampling(temperature=0)).tolist() == [0, 0, 0, 0]
    assert generate.pick(logits, draws, generate.Sampling(top_p=0.6)).tolist() == [0, 0, 1, 1]
    assert generate.pick(logits, draws, generate.Sampling(top_p=0.5)).tolist() == [0, 0, 0, 0]


def test_sampling_follows_the_distribution():
    logits = torch.tensor([0.5, 0.3, 0.2]).log().repeat(4000, 1)
    draws = torch.rand(4000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    counts = generate.pick(logits, draws, generate.Sampling()).bincount(minlength=3) / 4000
    assert counts.tolist() == pytest.approx([0.5, 0.3, 0.2], abs=0.03)


@pytest.mark.parametrize(("name", "value"), [("temperature", -1), ("top_p", 0), ("max_new_tokens", 0)])
def test_parameters_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        generate.Sampling(**{name: value})


def test_template_marks_the_answer(tokenizer):
    conversation = [*conversations(1)[0], {"role": "assistant", "content": "Once a fox slept."}]
    marked = tokenizer.apply_chat_template(conversation, return_assistant_tokens_mask=True, return_dict=True)
    ids = [token for token, mark in zip(marked["input_ids"], marked["assistant_masks"], strict=True) if mark]
    assert ids == chat.answer_ids(tokenizer, "Once a fox slept.")
    assert marked["input_ids"] == chat.conversation_ids(
        tokenizer, conversation[:1], "Once a fox slept.", finished=True
    )


def test_any_text_survives_the_tokenizer(tokenizer):
    text = "Zoë ate 3 crêpes — 日本語\n<b>&amp;"
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_stream_says_what_sample_says(model, tokenizer):
    """The same draws and tokens; on the way each text only grows."""
    (asked,), seeds = conversations(1), [generate.seed_of(7, i) for i in range(3)]
    whole = sampled(model, tokenizer, [asked] * 3, seeds)
    *parts, last = generate.stream(model, tokenizer, asked, seeds=seeds, sampling=generate.Sampling())
    assert last == whole
    assert len(parts) == max(each.tokens for each in whole) - 1
    for row in range(3):
        texts = [part[row].text for part in [*parts, last]]
        assert all(after.startswith(before) for before, after in zip(texts, texts[1:], strict=False))


def test_stream_tells_seldom_where_asked(model, tokenizer):
    (asked,), sampling = conversations(1), generate.Sampling(max_new_tokens=20)
    told = list(generate.stream(model, tokenizer, asked, seeds=[1, 2], sampling=sampling, every=3600))
    assert told == [sampled(model, tokenizer, [asked] * 2, [1, 2], max_new_tokens=20)]
