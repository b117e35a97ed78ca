"""What our commands share: one line and exit status 1 on bad input, ``--json``, and a progress bar."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, ProgrammingError
from psycopg.errors import UndefinedTable

from labeling.models import Project

Item = TypeVar("Item")


class Command(BaseCommand):
    """A command that answers with a result: for people in a sentence or table, for programs as one object.

    A subclass names its arguments in `arguments`, does its work in `perform`, words the result in `describe`,
    and lists under `mistakes` the errors that are the caller's to mend. Heavy imports go inside `perform`.
    """

    mistakes: tuple[type[Exception], ...] = ()
    # The system checks load every address of the platform, which takes longer than most commands.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        self.arguments(parser)
        parser.add_argument("--json", action="store_true", help="print the result as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            result = self.perform(**options)
        except self.mistakes as error:
            raise CommandError(one_line(error)) from error
        except OSError as error:
            raise CommandError(f"{error.filename or 'input'}: {error.strerror or error}") from error
        except OperationalError as error:
            raise CommandError(f"the database does not answer: {one_line(error)}") from error
        except ProgrammingError as error:
            if not isinstance(error.__cause__, UndefinedTable):
                raise
            raise CommandError("the database has no tables yet: start `make run` once") from error
        except KeyboardInterrupt:
            raise CommandError("stopped", returncode=130) from None
        if options["json"]:
            self.stdout.write(json.dumps(result, default=str))
        elif text := self.describe(result):
            self.stdout.write(text)

    def arguments(self, parser: CommandParser) -> None:
        """Add the command's own arguments."""

    def perform(self, **options: Any) -> dict[str, Any]:
        """Do the work and return the result, which must be writable as JSON."""
        raise NotImplementedError

    def describe(self, result: dict[str, Any]) -> str:
        """Word the result for people; by default a line for each of its figures."""
        return "\n".join(f"{name}: {value}" for name, value in result.items())

    def progress(
        self, items: Iterable[Item], *, total: int | None = None, unit: str = "row"
    ) -> Iterator[Item]:
        """Yield ``items`` under a bar on standard error, which shows on a terminal only."""
        from tqdm import tqdm

        yield from tqdm(items, total=total, unit=unit, disable=None, leave=False)


def find_project(slug: str) -> Project:
    """Return the project called ``slug``.

    Raises:
        CommandError: there is none; the message lists those there are.
    """
    if project := Project.objects.filter(slug=slug).first():
        return project
    slugs = ", ".join(Project.objects.order_by("slug").values_list("slug", flat=True)[:20])
    raise CommandError(
        f"There is no project {slug!r}. {f'There are: {slugs}.' if slugs else 'There is none yet.'}"
    )


def one_line(error: Exception) -> str:
    """Word an error in one line, with the field it names."""
    text = " ".join(str(error).split()) or type(error).__name__
    field = getattr(error, "field", "")
    return f"{field}: {text}" if field else text
