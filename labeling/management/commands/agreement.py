"""How far the labelers of a CSV agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from labeling import command_line


class Command(command_line.Command):
    help = (
        "Measure how far labelers agree: raw share, Cohen's kappa of every two, Fleiss' kappa and "
        "Krippendorff's alpha with its 95 % bootstrap interval. "
        "The file needs the columns item, labeler, label."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--csv", type=Path, required=True, metavar="FILE", help="one row a label, UTF-8")
        parser.add_argument(
            "--level",
            default="nominal",
            metavar="LEVEL",
            help="distance of alpha: nominal (default), ordinal or interval; the last two need numbers",
        )
        parser.add_argument("--seed", type=int, default=1, help="of the bootstrap (1)")

    def perform(self, **options: Any) -> dict[str, Any]:
        from labeling.quality import agreement, labelfile
        from labeling.quality.reliability import plain

        self.mistakes = (labelfile.LabelFileError,)
        level = options["level"]
        if level not in agreement.LEVELS:
            raise labelfile.LabelFileError(
                "--level", f"{level!r:.40} is none of {', '.join(agreement.LEVELS)}."
            )
        if options["seed"] < 0:
            raise labelfile.LabelFileError("--seed", "It must be 0 or more.")
        with options["csv"].open("rb") as file:
            read = labelfile.read(file)
        labels = read.labels
        if level != "nominal" and not read.numeric:
            word = next(value for value in labels.values if labelfile.number(value) is None)
            raise labelfile.LabelFileError(
                f"row {read.row_of(word)}, column label",
                f"{word!r:.40} is no number, which --level {level} needs. Write the scale in numbers.",
            )
        found = agreement.measure(labels, level=level, seed=options["seed"])
        kappas = agreement.cohen(labels)
        return {
            "raw": plain(found.raw),
            "cohen": {
                f"{labels.labelers[a]}|{labels.labelers[b]}": plain(value) for (a, b), value in kappas.items()
            },
            "fleiss": plain(found.fleiss),
            "alpha": plain(found.alpha),
            "alpha_low": plain(found.low),
            "alpha_high": plain(found.high),
            "level": level,
            "items": found.items,
            "shared": found.shared,
            "labels": found.labels,
            "labelers": found.labelers,
            "unanimous": found.unanimous,
            "says": found.says,
        }

    def describe(self, result: dict[str, Any]) -> str:
        def share(value: float | None, form: str = ".3f") -> str:
            return "–" if value is None else format(value, form)

        lines = [
            f"{result['labels']:,} labels by {result['labelers']:,} labelers on {result['items']:,} items, "
            f"{result['shared']:,} of them labeled twice or more, {result['unanimous']:,} unanimous.",
            f"raw {share(result['raw'], '.1%')}   Fleiss {share(result['fleiss'])}   "
            f"alpha ({result['level']}) {share(result['alpha'])}",
        ]
        pairs = list(result["cohen"].items())
        lines += [f"Cohen {name}: {share(value)}" for name, value in pairs[:20]]
        if len(pairs) > 20:
            lines.append(f"… and {len(pairs) - 20:,} pairs more (--json has them all)")
        return "\n".join([*lines, result["says"]])
