"""What a project asks of labelers before they work: set it, switch it on and off, ask anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from guidelines.models import GuidelineVersion
from labeling import live
from labeling.models import GoldItem, Membership, Project, Qualification, Task
from labeling.people import audit
from labeling.qualification import grading
from labeling.qualification.items import GoldError


@dataclass(frozen=True)
class Bounds:
    """A number that may be asked."""

    title: Any
    help: Any
    least: float
    most: float
    whole: bool = True
    unit: Any = ""

    @property
    def step(self) -> str:
        return "1" if self.whole else "any"


NUMBERS: dict[str, Bounds] = {
    "questions": Bounds(
        _lazy("Questions"), _lazy("Of the quiz, drawn anew for each try from the gold items for it."), 0, 200
    ),
    "pass_agreement": Bounds(
        _lazy("Agreement to pass"),
        _lazy("With the known answers, as a share: 0.75 is 75 %."),
        0.01,
        1,
        whole=False,
    ),
    "demonstrations": Bounds(
        _lazy("Answers to write"), _lazy("Graded by reviewers from 1 to 7; 0 for none."), 0, 20
    ),
    "pass_points": Bounds(
        _lazy("Grade to pass"), _lazy("The mean of the grades."), 1, 7, whole=False, unit=_lazy("of 7")
    ),
    "tries": Bounds(_lazy("Tries"), _lazy("How often somebody may fail."), 1, 50),
    "wait_hours": Bounds(
        _lazy("Wait between tries"), _lazy("0 to try again at once."), 0, 24 * 90, unit=_lazy("hours")
    ),
    "valid_days": Bounds(
        _lazy("A pass lasts"), _lazy("Then they qualify again; 0 for always."), 0, 3650, unit=_lazy("days")
    ),
}
# "We used a screening test": Ouyang et al. 2022, appendix B.1.
PRESETS: dict[str, dict[str, Any]] = {
    "instructgpt": {
        "kinds": ["rank", "rate"],
        "questions": 10,
        "pass_agreement": 0.75,
        "demonstrations": 3,
        "pass_points": 6.0,
    },
    "quiz": {
        "kinds": list(grading.BY_PLATFORM),
        "questions": 10,
        "pass_agreement": 0.75,
        "demonstrations": 0,
        "pass_points": 6.0,
    },
}


def of(project: Project) -> Qualification:
    """What the project asks, as it was set, or as delivered where nothing was."""
    found = Qualification.objects.filter(project=project).first()
    return found or Qualification(project=project, kinds=list(grading.BY_PLATFORM))


def change(*, project: Project, active: bool | None = None, actor: Any = None, **asked: Any) -> Qualification:
    """Set what is asked of labelers, and whether it is asked at all; tries under way keep their pass marks.

    Raises:
        GoldError: no such setting, one out of bounds, or a quiz that nobody can pass is to be switched on.
    """
    with transaction.atomic():
        project = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        found = of(project)
        before = stated(found)
        for name, value in asked.items():
            setattr(found, name, _checked(name, value))
        if active is not None and not isinstance(active, bool):
            raise GoldError("active", _("This is true or false."))
        if project.qualified_only if active is None else active:
            check(found)
        found.save()
        if active is not None and active != project.qualified_only:
            project.qualified_only = active
            project.save(update_fields=["qualified_only"])
        found.project = project
        after = stated(found)
        changes = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
        if changes:
            audit.record(
                actor=actor,
                action="qualification.change",
                target=f"qualification of {project.slug}",
                project=project,
                changes=changes,
            )
            live.announce(project=project, event="settings", names=["qualification"])
    return found


def check(asked: Qualification) -> None:
    """
    Raises:
        GoldError: nobody could pass this; the message says what to mend.
    """
    if asked.questions + asked.demonstrations < 1:
        raise GoldError("questions", _("Ask at least one question, or one answer to write."))
    if asked.questions and not asked.kinds:
        raise GoldError("kinds", _("Choose what kinds of task the questions are."))
    has = available(asked.project)
    there = sum(has.get(kind, 0) for kind in asked.kinds)
    if there < asked.questions:
        raise GoldError(
            "questions",
            _("The quiz asks %(asked)s questions, and %(there)s gold items are for it. Make %(more)s more.")
            % {"asked": asked.questions, "there": there, "more": asked.questions - there},
        )
    if (there := has.get(Task.Kind.DEMONSTRATE, 0)) < asked.demonstrations:
        raise GoldError(
            "demonstrations",
            _("It asks for %(asked)s written answers and there are %(there)s gold items to write. Make more.")
            % {"asked": asked.demonstrations, "there": there},
        )
    graders = Membership.objects.filter(
        project=asked.project,
        role__in=[Membership.Role.OWNER, Membership.Role.ADMIN, Membership.Role.REVIEWER],
        user__is_active=True,
    )
    if asked.demonstrations and not graders.exists():
        raise GoldError(
            "demonstrations", _("Nobody here may grade written answers. Make somebody a reviewer first.")
        )


def available(project: Project) -> dict[str, int]:
    """How many gold items a quiz may draw from, by kind; sensitive ones are for nobody who did not ask."""
    kinds = GoldItem.objects.live().filter(project=project, quiz=True, prompt__sensitive=False)
    counts: dict[str, int] = {}
    for kind in kinds.order_by().values_list("kind", flat=True):
        counts[kind] = counts.get(kind, 0) + 1
    return counts


def ask_anew(*, project: Project, version: GuidelineVersion | None = None, actor: Any = None) -> None:
    """Let no pass or failure up to now count: everybody is at the door again.

    Args:
        version: of the guideline, where it is the reason.
    """
    with transaction.atomic():
        found = of(project)
        found.asked_anew_at, found.asked_version = timezone.now(), version
        found.save()
        audit.record(
            actor=actor,
            action="qualification.ask_anew",
            target=f"qualification of {project.slug}",
            project=project,
            version=version and version.number,
        )
        live.announce(project=project, event="settings", names=["qualification"])


def needs_requalification(*, project: Project, version: GuidelineVersion) -> bool:
    """Whether publishing ``version`` can ask labelers to qualify again, and has not yet."""
    if not project.qualified_only:
        return False
    asked = of(project).asked_version
    return asked is None or asked.number < version.number


def stated(asked: Qualification) -> dict[str, Any]:
    """What is asked, as plain JSON values."""
    numbers = {name: getattr(asked, name) for name in NUMBERS}
    return {"active": asked.project.qualified_only, "kinds": list(asked.kinds), **numbers}


def _checked(name: str, value: Any) -> Any:
    if name == "kinds":
        if not isinstance(value, list | tuple) or (unknown := set(value) - set(grading.BY_PLATFORM)):
            what = min(map(str, unknown)) if isinstance(value, list | tuple) else value
            raise GoldError(
                "kinds",
                _("%(what)r is none of %(kinds)s, which the platform can grade.")
                % {"what": what, "kinds": ", ".join(grading.BY_PLATFORM)},
            )
        return [kind for kind in grading.BY_PLATFORM if kind in value]
    if name not in NUMBERS:
        raise GoldError(
            name, _("There is no such setting. There are: %(names)s.") % {"names": ", ".join(NUMBERS)}
        )
    bounds = NUMBERS[name]
    if isinstance(value, bool) or not isinstance(value, int if bounds.whole else int | float):
        raise GoldError(name, _("This is a whole number.") if bounds.whole else _("This is a number."))
    if not bounds.least <= value <= bounds.most:
        raise GoldError(
            name,
            _("This is from %(least)s to %(most)s, not %(value)s.")
            % {"least": bounds.least, "most": bounds.most, "value": value},
        )
    return value
