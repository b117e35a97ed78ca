"""Which waiting tasks somebody may be handed: one rule for the queue and for what a page counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from guidelines import acknowledgements
from labeling.models import Labeler, Membership, Project

# Whether a labeler may be handed a waiting task: nothing kept for one person (that comes by
# `qualification.copies`), nothing they settled or hold, nothing sensitive where they avoid that, nothing in a
# language they were not asked for or that wants a skill they lack, and no review of what they had a hand in,
# as its author or as an earlier reviewer. ("pt" is asked for "pt-BR" too.)
MAY_TAKE = """
          and task.reserved_for_id is null
          and not exists (select from labeling_lease mine
                          where mine.task_id = task.id and mine.labeler_id = %(labeler)s
                            and mine.state <> 'expired')
          and not (task.sensitive and %(avoids_sensitive)s)
          and (task.language = '' or cardinality(%(languages)s::text[]) = 0
               or lower(task.language) = any(%(languages)s)
               or split_part(lower(task.language), '-', 1) = any(%(languages)s))
          and (task.skill = '' or lower(task.skill) = any(%(skills)s))
          and (task.reviewed_id is null or not exists (
              select from labeling_lease mine
              where mine.labeler_id = %(labeler)s and mine.state = 'submitted' and mine.task_id in (
                  select hand.id from labeling_task hand
                  where hand.id = task.reviewed_id or hand.reviewed_id = task.reviewed_id)))
"""

# What `Fit` holds, in one look that also makes the labeler's other requests wait.
_FIT = f"""
select labeler.avoids_sensitive, coalesce(member.paused, false),
    array(select lower(jsonb_array_elements_text(member.languages))),
    array(select lower(jsonb_array_elements_text(member.skills))),
    labeler.user_id is not null and {acknowledgements.UNREAD}
from labeling_labeler labeler left join labeling_membership member
    on member.user_id = labeler.user_id and member.project_id = %(project)s
where labeler.id = %(labeler)s for no key update of labeler
"""


class Paused(Exception):
    """The member is handed no tasks until an admin says so; the message says it."""

    def __init__(self) -> None:
        super().__init__(
            "Whoever runs this project paused your work in it, so it hands you no new tasks. What you had "
            "open you may finish, and your labels and hours stay. Ask them when you go on."
        )


@dataclass(frozen=True, slots=True)
class Fit:
    """Which tasks of a project somebody may be handed."""

    avoids_sensitive: bool = False
    paused: bool = False
    languages: Sequence[str] = ()
    """In small letters; none for any."""
    skills: Sequence[str] = ()
    unread: bool = False
    """A guideline version has to be read first."""

    @classmethod
    def of(cls, membership: Membership, labeler: Labeler) -> Fit:
        """As `lock` reads it, from rows that are at hand."""
        spoken, known = membership.languages, membership.skills
        return cls(
            avoids_sensitive=labeler.avoids_sensitive,
            paused=membership.paused,
            languages=[language.lower() for language in spoken],
            skills=[skill.lower() for skill in known],
        )

    def parameters(self) -> dict[str, Any]:
        """What `MAY_TAKE` wants besides the labeler."""
        return {
            "avoids_sensitive": self.avoids_sensitive,
            "languages": list(self.languages),
            "skills": list(self.skills),
        }


def lock(labeler: Labeler, project: Project) -> Fit:
    """Make the labeler's other requests wait; which tasks of the project they may be handed."""
    with connection.cursor() as cursor:
        cursor.execute(
            _FIT,
            {
                "project": project.pk,
                "labeler": labeler.pk,
                "user": labeler.user_id,
                "guideline": project.guideline_id,
            },
        )
        row = cursor.fetchone()
    return Fit(*row) if row else Fit()
