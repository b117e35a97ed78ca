"""Whether the loop learns what people reward, and nothing from labels that say nothing.

    python -m benchmarks.circle [--cases kind,gloomy,…] [--seeds N] [--seed N] [--short] [--json]

Every row is one `manage.py demo` on a platform of its own: 1,200 demonstrations, simulated labelers through
the HTTP API, a reward model, PPO, and an evaluation by the hidden gold rule on held-out animal–object pairs.
Cases: `kind` and `gloomy` (50 four-way rankings, noise `clear`), the controls `inverted`, `random` (the guard
should stop it) and `forced` (random, trained all the same), and `fifteen` (fifteen rankings by one careful
labeler, ten seeds).

What is not covered: more than one base model (all start from the shipped one), and people.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 1800.0
CASES: dict[str, Sequence[str]] = {
    "kind": (),
    "gloomy": ("--taste", "gloomy"),
    "inverted": ("--labels", "inverted"),
    "random": ("--labels", "random"),
    "forced": ("--labels", "random", "--force"),
    "fifteen": ("--rankings", "15", "--labelers", "1", "--noise", "careful"),
}
SEEDS = {"fifteen": 10}
COLUMNS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "both words": lambda r: r["sft"]["both_words"],
    "labels = gold": lambda r: r["labels"]["agreement_with_gold"],
    "RM = labels": lambda r: r["reward"]["agreement"],
    "RM = gold": lambda r: r["reward"]["heldout_accuracy"],
    "best of 8": lambda r: r["best_of_8"]["win_rate_vs_sft"],
    "PPO": lambda r: r["ppo"].get("win_rate_vs_sft"),
    "KL": lambda r: r["ppo"].get("kl_per_sequence"),
    "distinct": lambda r: r["ppo"].get("distinct_ratio_vs_sft"),
    "trigrams": lambda r: r["ppo"].get("trigrams_ratio_vs_sft"),
    "CPU s": lambda r: r["cpu_seconds"]["post_training_without_imports"],
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.circle", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--cases", default=",".join(CASES), help=f"any of {', '.join(CASES)}")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, help="how many (3; 10 for fifteen)")
    parser.add_argument("--short", action="store_true", help="far too little of everything: does it run?")
    parser.add_argument("--json", action="store_true", help="one object as the last line")
    options = parser.parse_args()
    cases = options.cases.split(",")
    if unknown := set(cases) - set(CASES):
        parser.error(f"--cases: there is no {sorted(unknown)[0]!r}; choose from {', '.join(CASES)}")
    found: dict[str, dict[str, Any]] = {}
    print(f"{'':14}" + "".join(f"{name:>15}" for name in COLUMNS))
    for case in cases:
        for seed in range(options.seed, options.seed + (options.seeds or SEEDS.get(case, 3))):
            report = turn([*CASES[case], "--seed", str(seed), *(["--short"] if options.short else [])])
            found[f"{case}.{seed}"] = figures = {name: read(report) for name, read in COLUMNS.items()}
            print(f"{case + ' ' + str(seed):14}" + "".join(map(_cell, figures.values())), flush=True)
    if options.json:
        print(json.dumps(found))


def turn(arguments: Sequence[str]) -> dict[str, Any]:
    """One demo in a state folder of its own; returns its report."""
    with tempfile.TemporaryDirectory(prefix="circle-") as home:
        done = subprocess.run(
            [sys.executable, "manage.py", "demo", "--json", *arguments],
            cwd=ROOT,
            env={**os.environ, "TUTELAGE_HOME": home},
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
        if done.returncode:
            sys.exit(f"demo {' '.join(arguments)}: {done.stderr.strip().splitlines()[-1]}")
        return json.loads((Path(home) / "demo" / "report.json").read_text(encoding="utf-8"))


def _cell(value: Any) -> str:
    if value is None:
        return f"{'–':>15}"
    return f"{value:>15.1f}" if value >= 10 else f"{value:>15.3f}"


if __name__ == "__main__":
    main()
