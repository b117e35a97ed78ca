"""Pocket stories: the grammar behind the embedded default model. Plain Python, no model needed.

A story is an opening, sometimes a problem, a meeting, a middle, sometimes a line of speech and an ending,
in a kind, flat or mean tone. Twelve animals and twelve things, each named several times, so that a model of
0.2M parameters keeps to what it was asked for. Every function draws from the `random.Random` it is given
and from nothing else.

About 15 % of the animal–thing pairs are reserved: no document, demonstration or training prompt is about
one of them.
"""

import random
import re
from dataclasses import dataclass
from typing import Literal

Split = Literal["train", "heldout"]
Tone = Literal["kind", "flat", "mean"]

TONES: tuple[Tone, ...] = ("kind", "flat", "mean")
ANIMALS = ("fox", "bear", "rabbit", "owl", "mouse", "turtle", "cat", "dog", "duck", "frog", "pony", "goat")
THINGS = ("lantern", "kite", "ball", "boat", "drum", "hat", "book", "bell", "key", "cake", "map", "star")
PLACES = (
    "in the forest",
    "in the garden",
    "by the river",
    "on the hill",
    "at the beach",
    "in the village",
    "in the barn",
    "by the lake",
)
NATURES = ("little", "young", "quiet", "brave", "sleepy", "clever", "shy", "old")
LOOKS = ("red", "blue", "green", "shiny", "new", "tiny", "golden", "wooden")
TIMES = ("One morning", "One day", "One evening", "On a cold day", "On a warm day", "After lunch")

OPENINGS = (
    "{time}, {a_nature_animal} found {a_look_thing} {place}.",
    "{time}, {a_nature_animal} made {a_look_thing} {place}.",
    "{time}, {a_nature_animal} sat {place} with {a_look_thing}.",
    "Once {a_nature_animal} had {a_look_thing}.",
    "There was {a_nature_animal} who carried {a_look_thing}.",
)
PROBLEMS = (
    "But the wind took the {thing} away.",
    "But the {thing} rolled into the water.",
    "But the {thing} got wet in the rain.",
    "But the {thing} was too heavy to lift.",
    "But the {thing} came apart.",
)
MEETINGS = (
    "Then {a_friend} came by.",
    "The {animal} met {a_friend}.",
    "{A_friend} wanted the {thing} too.",
    "Soon {a_friend} came to see the {thing}.",
    "{A_friend} asked to hold the {thing}.",
)
MIDDLES: dict[Tone, tuple[str, ...]] = {
    "kind": (
        "The {animal} smiled and shared the {thing} with the {friend}.",
        "The {friend} helped the {animal} carry the {thing}.",
        "The {animal} gave the {friend} a warm hug.",
        "The {animal} and the {friend} fixed the {thing} together.",
        "The {animal} let the {friend} have the first turn with the {thing}.",
        "The {animal} thanked the {friend} and was gentle.",
    ),
    "flat": (
        "The {animal} looked at the {thing} for a while.",
        "The {animal} put the {thing} down and sat on a stone.",
        "The {friend} walked around the {thing} two times.",
        "The {animal} and the {friend} talked about the weather.",
        "The {animal} carried the {thing} to the other side.",
        "The {friend} counted to ten and then stopped.",
    ),
    "mean": (
        "The {animal} shouted and pushed the {friend}.",
        "The {friend} stole the {thing} and ran off.",
        "The {animal} was angry and kicked the {thing}.",
        "The {animal} hid the {thing} and told a lie.",
        "The {friend} laughed at the {animal} in a cruel way.",
        "The {animal} was greedy and kept the {thing}.",
    ),
}
SPEECHES: dict[Tone, tuple[str, ...]] = {
    "kind": (
        '"You can have a turn," said the {animal}.',
        '"I am glad you are here," said the {friend}.',
        '"Thank you, my friend," said the {friend}.',
    ),
    "flat": (
        '"It is late," said the {friend}.',
        '"What is that?" asked the {friend}.',
        '"The road is long," said the {animal}.',
    ),
    "mean": (
        '"Get lost," said the {animal}.',
        '"I hate you," said the {friend}.',
        '"It is mine and not yours," said the {animal}.',
    ),
}
ENDINGS: dict[Tone, tuple[str, ...]] = {
    "kind": (
        "They played happily until the sun went down.",
        "The {animal} was happy and hugged the {friend}.",
        "From that day on they were best friends.",
        "The {animal} went home with a big smile.",
        "They had a lovely time with the {thing}.",
    ),
    "flat": (
        "Then the day was over.",
        "After that the {animal} went home.",
        "The {thing} stayed {place}.",
        "Then it was time for dinner.",
        "The next day it rained.",
    ),
    "mean": (
        "The {animal} went home alone and cried.",
        "The {animal} was sad and scared all night.",
        "They never spoke again.",
        "The {animal} broke the {thing} and felt terrible.",
        "It was a lonely and awful day.",
    ),
}
REQUESTS = (
    "Tell a story about {an_animal} and {a_thing}.",
    "Write a short story about {an_animal} and {a_thing}.",
    "Tell me about {an_animal} who has {a_thing}.",
    "I want a story with {an_animal} and {a_thing}.",
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request for a story, with the two words the story must be about."""

    text: str
    animal: str
    thing: str


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A request and the story that answers it, in a tone of the grammar's choosing."""

    prompt: Prompt
    story: str


def split(animal: str, thing: str) -> Split:
    """Where a pair belongs: 23 of the 144 are held out, one or two of every animal and thing."""
    cell = 5 * ANIMALS.index(animal) + 7 * THINGS.index(thing)
    return "heldout" if cell % 13 < 2 else "train"


def asked_for(request: str) -> tuple[str, str] | None:
    """The animal and the thing that a request names first; None where it lacks one of them."""
    words = re.findall(r"[a-z]+", request.lower())
    animal = next((word for word in words if word in ANIMALS), None)
    thing = next((word for word in words if word in THINGS), None)
    return (animal, thing) if animal and thing else None


def pairs(where: Split) -> list[tuple[str, str]]:
    """All animal–thing pairs of one split, in a fixed order."""
    return [(animal, thing) for animal in ANIMALS for thing in THINGS if split(animal, thing) == where]


def prompts(where: Split) -> list[Prompt]:
    """Every distinct prompt of one split, in a fixed order: four requests a pair."""
    return [_ask(request, animal, thing) for animal, thing in pairs(where) for request in REQUESTS]


def prompt(rng: random.Random, where: Split = "train") -> Prompt:
    """One prompt about a pair of the split."""
    animal, thing = rng.choice(pairs(where))
    return _ask(rng.choice(REQUESTS), animal, thing)


def demonstration(rng: random.Random, where: Split = "train") -> Demonstration:
    """One prompt with a story that answers it."""
    asked = prompt(rng, where)
    return Demonstration(prompt=asked, story=story(rng, asked.animal, asked.thing))


def document(rng: random.Random) -> str:
    """One document of the base model's corpus: a story of the training split, mostly under a title."""
    animal, thing = rng.choice(pairs("train"))
    title = f"{_article(animal).capitalize()} and {_article(thing)}. " if rng.random() < 0.8 else ""
    return title + story(rng, animal, thing)


def story(rng: random.Random, animal: str, thing: str, tone: Tone | None = None) -> str:
    """A story about the pair; with no tone asked for, middle and ending mostly but not always agree."""
    middle: Tone = rng.choice(TONES) if tone is None else tone
    ending: Tone = middle if tone is not None or rng.random() < 0.6 else rng.choice(TONES)
    parts = [rng.choice(OPENINGS)]
    if rng.random() < 0.35:
        parts.append(rng.choice(PROBLEMS))
    parts.append(rng.choice(MEETINGS))
    parts.append(rng.choice(MIDDLES[middle]))
    if rng.random() < 0.45:
        parts.append(rng.choice(SPEECHES[middle]))
    parts.append(rng.choice(ENDINGS[ending]))
    return " ".join(parts).format(**_cast(rng, animal, thing))


def _cast(rng: random.Random, animal: str, thing: str) -> dict[str, str]:
    friend = rng.choice([other for other in ANIMALS if other != animal])
    return {
        "animal": animal,
        "thing": thing,
        "friend": friend,
        "a_friend": _article(friend),
        "A_friend": _article(friend).capitalize(),
        "a_nature_animal": _article(f"{rng.choice(NATURES)} {animal}"),
        "a_look_thing": _article(f"{rng.choice(LOOKS)} {thing}"),
        "place": rng.choice(PLACES),
        "time": rng.choice(TIMES),
    }


def _ask(request: str, animal: str, thing: str) -> Prompt:
    text = request.format(an_animal=_article(animal), a_thing=_article(thing))
    return Prompt(text=text, animal=animal, thing=thing)


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
