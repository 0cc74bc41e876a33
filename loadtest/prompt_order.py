"""Which prompt comes next: a seeded order, cut into disjoint slices; a trace keeps its own."""

from __future__ import annotations

import random
from collections.abc import Sequence

from loadtest.workloads.prompt import Prompt


def ordered_slice(
    prompts: Sequence[Prompt], *, seed: int, slice_index: int, slice_count: int
) -> list[Prompt]:
    """Shuffle by seed, then take one of `slice_count` equal, disjoint slices.

    The order depends on the seed alone, so every arm of a repeat sees the same prompts in the same order,
    and two cells of one server life never share a prompt. A trace's prompts (those with a time of arrival)
    are not shuffled: which of them find their beginning cached depends on who came before. Their slices are
    stretches of the trace, one after the other.

    Raises:
        ValueError: if a slice would be empty or the index is out of range.
    """
    if not 0 <= slice_index < slice_count:
        raise ValueError(f"slice {slice_index} of {slice_count} does not exist")
    if len(prompts) < slice_count:
        raise ValueError(f"{len(prompts)} prompts cannot fill {slice_count} cells: give more prompts")
    size = len(prompts) // slice_count
    return in_order(prompts, seed=seed)[slice_index * size : (slice_index + 1) * size]


def in_order(prompts: Sequence[Prompt], *, seed: int) -> list[Prompt]:
    """All prompts in the order in which they are sent: by time of arrival if they have one, else by seed."""
    timed = [(prompt.at_s, prompt) for prompt in prompts if prompt.at_s is not None]
    if timed and len(timed) == len(prompts):
        return [prompt for _, prompt in sorted(timed, key=lambda pair: pair[0])]
    shuffled = list(prompts)
    random.Random(f"order-{seed}").shuffle(shuffled)
    return shuffled
