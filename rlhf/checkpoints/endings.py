"""How the embedded world's stories end: what a newcomer sees move when the taste is kind or gloomy.

An evaluation, not a judge: no trainer reads it. Prompts of other projects name no animal and thing: none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labeling.models import Completion, Prompt, Split
from labeling.simulated import taste


def shares(answers: Mapping[Prompt, Sequence[Completion]]) -> dict[str, float] | None:
    """Shares (0–1) of happy and sad endings among answers to held-out story prompts; None without any."""
    told = [
        completion.text
        for prompt, completions in answers.items()
        if prompt.split == Split.HELDOUT and prompt.metadata.get("words")
        for completion in completions
    ]
    return taste.endings(told) if told else None
