"""What people did day by day, for pay."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.core.management.base import CommandParser

from labeling import command_line


class Command(command_line.Command):
    help = (
        "Print what each person did on each day in a project, as CSV: labels, skips, active time and "
        "corrections in seconds. Simulated labelers are left out."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument(
            "--from", dest="since", metavar="DAY", help="as 2026-11-01; the month's first unless given"
        )
        parser.add_argument(
            "--to", dest="until", metavar="DAY", help="the last day, included; today unless given"
        )

    def perform(self, **options: Any) -> dict[str, Any]:
        from labeling.people import ledger

        self.mistakes = (ledger.LedgerError,)
        days: dict[str, Any] = {}
        for name, field in (("since", "from"), ("until", "to")):
            try:
                days[name] = options[name] and date.fromisoformat(options[name])
            except ValueError as error:
                raise ledger.LedgerError(
                    field, f"{options[name]!r:.30} is no day. Write it as 2026-11-01."
                ) from error
        found = ledger.ledger(project=command_line.find_project(options["project"]), **days)
        self.lines = ledger.as_csv(found.rows)
        return {
            "project": found.project.slug,
            "from": found.since,
            "to": found.until,
            "rows": [row.as_dict() for row in found.rows],
            "total": found.total.as_dict(),
        }

    def describe(self, result: dict[str, Any]) -> str:
        return "".join(self.lines).rstrip()
