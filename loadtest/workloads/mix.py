"""In which order the prompts of several workloads follow one another when they are mixed by weight.

Each part's prompts are dealt out evenly: prompt i of a part with weight w stands at (i + u) / w, u a seeded
draw from 0 to 1. Any stretch of the mix so has the parts in nearly their shares, without a fixed pattern
that parallel streams could lock on to. The mix ends where a part has no prompts left.

A prompt keeps the name of the workload that it comes from, so that results can be told apart. A trace's
times of arrival are dropped: times of two sources do not add up to a trace.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from accounting.errors import ConfigError
from loadtest.workloads.prompt import Prompt, Split, Workload


@dataclass(frozen=True, slots=True)
class Part:
    """One workload of a mix and its weight, above 0; weights need not sum to 1."""

    workload: Workload
    weight: float


def mixed(parts: Sequence[Part], *, seed: int) -> Workload:
    """The mix of `parts`; a prompt whose content an earlier part has is left out.

    Its order depends on the parts' names, their weights and the seed, never on where their files lie.

    Raises:
        ConfigError: if two parts have the same name, or there is nothing to measure.
    """
    names = [part.workload.name for part in parts]
    name = "+".join(f"{part.workload.name}*{part.weight:g}" for part in parts)
    for again in names:
        if names.count(again) > 1:
            raise ConfigError(
                f"{name}: two parts of the mix are named {again!r}, so their results could not be told apart.",
                hint="Give a part once, with the sum of the weights, or rename one of the files.",
            )
    own, repeated = _without_repeats(parts)
    rng = random.Random(f"kilotoken/mix/{name}/{seed}")
    prompts: list[Prompt] = []
    notes = [f"{repeated} prompts that two parts have counted once"] if repeated else []
    for split in Split:
        columns = [[prompt for prompt in column if prompt.split is split] for column in own]
        dealt, note = _dealt(columns, parts, rng)
        prompts.extend(dealt)
        if split in (Split.WARM_UP, Split.MEASURED):
            notes.append(f"{len(dealt)} {split} prompts{note}")
    if not any(prompt.split is Split.MEASURED for prompt in prompts):
        raise ConfigError(
            f"{name}: the mix has no prompt to measure: {'; '.join(notes)}.",
            hint="Of prompts that two parts have, the part named first keeps its own: name the smaller set first.",
        )
    total = sum(part.weight for part in parts)
    shares = ", ".join(f"{part.workload.name} {part.weight / total:.1%}" for part in parts)
    return Workload(
        name,
        f"mix of {shares}: {'; '.join(notes)}",
        "; ".join(f"{part.workload.name}: {part.workload.source}" for part in parts),
        tuple(prompts),
        "; ".join(
            f"{part.workload.name}: {part.workload.synthetic}" for part in parts if part.workload.synthetic
        ),
    )


def _without_repeats(parts: Sequence[Part]) -> tuple[list[list[Prompt]], int]:
    """The prompts of each part but those whose messages an earlier part has, and how many those are."""
    seen: set[object] = set()
    own, repeated = [], 0
    for part in parts:
        new = [
            prompt for prompt in part.workload.prompts if not prompt.messages or prompt.messages not in seen
        ]
        repeated += len(part.workload.prompts) - len(new)
        seen.update(prompt.messages for prompt in new)
        own.append(new)
    return own, repeated


def _dealt(
    columns: Sequence[Sequence[Prompt]], parts: Sequence[Part], rng: random.Random
) -> tuple[list[Prompt], str]:
    """One split of the mix, and which part ended it."""
    ends = [len(column) / part.weight for column, part in zip(columns, parts, strict=True)]
    end = min(ends, default=0.0)
    places = [
        ((index + rng.random()) / part.weight, prompt)
        for column, part in zip(columns, parts, strict=True)
        for index, prompt in enumerate(column)
    ]
    dealt = sorted(((place, prompt) for place, prompt in places if place < end), key=lambda pair: pair[0])
    note = ""
    if not all(math.isclose(other, end) for other in ends):
        note = f", ending where {parts[ends.index(end)].workload.name} has no more"
    return [replace(prompt, at_s=None) for _, prompt in dealt], note
