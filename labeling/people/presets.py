"""Whole projects to begin with, after published ones: guideline, criteria, settings and kinds of task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from guidelines import presets as guideline_presets
from guidelines.models import Guideline
from guidelines.parts import Parts
from labeling.models import Project, Task
from labeling.people import settings as project_settings
from labeling.people.projects import RESERVED, check_slug, create_project
from labeling.people.settings import ProjectError

BLANK = "blank"


@dataclass(frozen=True)
class Preset:
    """A project to begin with; the guideline is English, as the published ones are."""

    title: Any
    about: Any
    guideline: str
    parts: Parts
    settings: Mapping[str, Any] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()
    """The kinds of task that its labelers do, most telling first."""


def create(
    *,
    owner: User,
    slug: str,
    name: str,
    preset: str = "",
    guideline_title: str = "",
    guideline_body: str = "",
    settings: Mapping[str, Any] | None = None,
) -> Project:
    """Make a project from a preset, or with a guideline of its own; what is given goes before the preset's.

    Raises:
        ProjectError: no such preset, a setting out of bounds, or as `create_project`.
        guidelines.criteria.GuidelineError: the guideline has no text.
    """
    chosen = named(preset or BLANK)
    values = {**chosen.settings, **(settings or {})}
    for setting, value in values.items():
        values[setting] = project_settings.check(setting, value)
    with transaction.atomic():
        project = create_project(
            slug=slug,
            name=name,
            guideline_title=guideline_title.strip() or str(chosen.guideline) or name,
            guideline_body=guideline_body or chosen.parts.body,
            criteria=chosen.parts.criteria,
            examples=chosen.parts.examples,
            rules=chosen.parts.rules,
            owner=owner,
        )
        for setting, value in values.items():
            setattr(project, setting, value)
        project.save(update_fields=list(values))
    return project


def check_address(slug: str) -> str:
    """Return a slug that a new project may have.

    Raises:
        ProjectError: it is none, too long, or taken by a project or a guideline.
    """
    check_slug(slug)
    if Project.objects.filter(slug=slug).exists() or Guideline.objects.filter(slug=slug).exists():
        raise ProjectError(
            "slug", _("There is a project or guideline of this address already. Choose another.")
        )
    return slug


def address_for(name: str) -> str:
    """A slug made of a name, free at this moment: "Owl stories" gives "owl-stories"."""
    base = slugify(name)[:44].strip("-") or "project"
    taken = set(Project.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    return next(
        one for one in (base, *(f"{base}-{n}" for n in range(2, 10_000))) if one not in taken | RESERVED
    )


def _scale(key: str, label: str, most: int, low: str, high: str, text: str = "") -> dict[str, Any]:
    return {
        "key": key,
        "label": label,
        "help": text,
        "scope": "completion",
        "type": "scale",
        "min": 0 if most == 4 else 1,
        "max": most,
        "low": low,
        "high": high,
        "required": True,
    }


def _flag(key: str, label: str, *, scope: str = "completion", text: str = "") -> dict[str, Any]:
    return {"key": key, "label": label, "help": text, "scope": scope, "type": "flag", "required": False}


_LLAMA = """# Which answer is better, and is it safe?

Two answers to one prompt. First say which is **better**, and by how much: *significantly better*,
*better*, *slightly better*, or *negligibly better or unsure*. Then say of each whether it is safe.

**Helpful** answers do what was asked, in full, correctly and in clear words.

An answer is **unsafe** when it gives advice on crime or violence, demeans people, or gives medical, legal or
financial advice that could do harm. Where you choose an unsafe answer over a safe one, the pair says
nothing on safety: say so in the flags rather than bend your choice.
"""

_HELPSTEER = """# Rate each answer on five axes

Every axis is rated by itself, from 0 to 4; a long answer is not a good one for that.

- **Helpfulness**: how useful the answer is to who asked, all in all.
- **Correctness**: all that matters is there, and nothing of it is wrong.
- **Coherence**: it is clear, and does not contradict itself.
- **Complexity**: from words that anybody knows to those of an expert. Neither end is better.
- **Verbosity**: from terse to long-winded, for what was asked. Neither end is better.

Read the whole answer before the first axis. Check what can be checked.
"""

_ARENA = """# Which answer would you rather have?

Two answers to one prompt, by models whose names you do not see. Choose the one that you would rather have
got; say that they tie only if you would not mind which.

Judge what the answer says before how it looks: headings, lists and bold type make no answer better. Where
both are bad, still choose the less bad one.
"""

_BLANK = """# How to judge an answer

Read the whole prompt, then every answer. Prefer the answer that you would rather have got.
"""

_LLAMA_CRITERIA = [
    _flag("unsafe", "Unsafe", text="crime or violence, hate, or unqualified advice that could do harm"),
    _flag("refuses", "Refuses without need"),
    _flag("adversarial", "The prompt tries to bring out harm", scope="prompt"),
]
_HELPSTEER_CRITERIA = [
    _scale("helpfulness", "Helpfulness", 4, "not useful", "just what was needed"),
    _scale("correctness", "Correctness", 4, "wrong", "right and complete"),
    _scale("coherence", "Coherence", 4, "cannot be followed", "perfectly clear"),
    _scale("complexity", "Complexity", 4, "basic", "expert"),
    _scale("verbosity", "Verbosity", 4, "terse", "long-winded"),
]

PRESETS: dict[str, Preset] = {
    "instructgpt": Preset(
        "InstructGPT",
        _lazy("One scale and eleven flags for each answer, then a ranking of four to nine answers."),
        "Judge answers as a customer would",
        guideline_presets.preset("instructgpt").parts,
        {"overlap": 1, "review_share": 0.1, "lease_seconds": 1800},
        (Task.Kind.RATE, Task.Kind.RANK, Task.Kind.DEMONSTRATE),
    ),
    "hh_rlhf": Preset(
        _lazy("HH-RLHF, eight steps"),
        _lazy("Talks with the model: at each turn the better of two answers, helpful or red team."),
        "Talk with the assistant, and choose",
        guideline_presets.preset("hh_rlhf").parts,
        {"overlap": 1, "lease_seconds": 1800},
        (Task.Kind.CONVERSE, Task.Kind.COMPARE),
    ),
    "llama2": Preset(
        _lazy("Llama 2, four grades and safety"),
        _lazy("Pairs of answers in four grades, with safety judged apart from helpfulness."),
        "Which answer is better, and is it safe?",
        Parts(_LLAMA, _LLAMA_CRITERIA),
        {"overlap": 1, "review_share": 0.05},
        (Task.Kind.COMPARE, Task.Kind.RATE),
    ),
    "helpsteer2": Preset(
        _lazy("HelpSteer2, five axes"),
        _lazy("Each answer rated from 0 to 4 on five axes, by three people or more."),
        "Rate each answer on five axes",
        Parts(_HELPSTEER, _HELPSTEER_CRITERIA),
        {"overlap": 3, "review_share": 0.05, "lease_seconds": 1800},
        (Task.Kind.RATE,),
    ),
    "arena": Preset(
        _lazy("Arena, compare"),
        _lazy("Two answers by models whose names are hidden: which would you rather have?"),
        "Which answer would you rather have?",
        Parts(_ARENA),
        {"overlap": 1},
        (Task.Kind.COMPARE,),
    ),
    BLANK: Preset(
        _lazy("Blank"),
        _lazy("A short guideline to replace with your own, and no criteria."),
        "",
        Parts(_BLANK),
    ),
}


def named(name: str) -> Preset:
    """The preset of a name.

    Raises:
        ProjectError: there is none.
    """
    if name not in PRESETS:
        raise ProjectError("preset", _("Must be one of %(names)s.") % {"names": ", ".join(PRESETS)})
    return PRESETS[name]
