"""How far each labeler of a CSV can be relied on, and what every item is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from labeling import command_line

MOST_CLASSES = 100
FURTHER = ("first_shown", "longest", "seconds", "rm")


class Command(command_line.Command):
    help = (
        "Measure each labeler's accuracy without gold (Dawid–Skene), find those who do not judge, and give "
        "every item its likeliest label. The file needs the columns item, labeler, label; it may have "
        "first_shown and longest (1 where the label names the answer shown first, or the longest, else 0), "
        "seconds, and rm (a reward model's probability that the row's label is right)."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--csv", type=Path, required=True, metavar="FILE", help="one row a label, UTF-8")
        parser.add_argument(
            "--pairs",
            action="store_true",
            help="each item is a pair of answers, its label the better one: as many errors either way",
        )

    def perform(self, **options: Any) -> dict[str, Any]:
        from labeling.quality import labelfile, reliability

        self.mistakes = (labelfile.LabelFileError,)
        with options["csv"].open("rb") as file:
            read = labelfile.read(file, extra=FURTHER)
        labels = read.labels
        if len(labels.values) > MOST_CLASSES:
            raise labelfile.LabelFileError(
                "column label",
                f"{len(labels.values):,} different labels are too many classes (at most {MOST_CLASSES}). "
                "Round them to a scale.",
            )
        found = reliability.measure(
            reliability.Evidence(
                labels=labels,
                form="pair" if options["pairs"] else "full",
                first=labelfile.as_flags(read.extra.get("first_shown")),
                longest=labelfile.as_flags(read.extra.get("longest")),
                seconds=read.extra.get("seconds"),
                rm=labelfile.as_scores(read.extra.get("rm"), labels),
            )
        )
        return reliability.described(found)

    def describe(self, result: dict[str, Any]) -> str:
        head = f"{'labeler':20} {'labels':>7} {'accuracy':>8} {'95 %':>12} {'weight':>6} {'agrees':>6}  says"
        lines = [head]
        for name, one in sorted(result["labelers"].items(), key=lambda each: each[1]["weight"]):
            agrees = "–" if one["agreement"] is None else f"{one['agreement']:.2f}"
            span = f"{one['low']:.2f}–{one['high']:.2f}"
            lines.append(
                f"{name:20.20} {one['labels']:>7,} {one['accuracy']:>8.2f} {span:>12} {one['weight']:>6.2f} "
                f"{agrees:>6}  {one['says']}"
            )
        return "\n".join(lines)
