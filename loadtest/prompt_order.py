"""Which prompt comes next: a seeded order, cut into disjoint slices."""

from __future__ import annotations

import random
from collections.abc import Sequence

from loadtest.workloads.prompt import Prompt


def ordered_slice(
    prompts: Sequence[Prompt], *, seed: int, slice_index: int, slice_count: int
) -> list[Prompt]:
    """Shuffle by seed, then take one of `slice_count` equal, disjoint slices.

    The order depends on the seed alone, so every arm of a repeat sees the same prompts in the same order,
    and two cells of one server life never share a prompt.

    Raises:
        ValueError: if a slice would be empty or the index is out of range.
    """
    if not 0 <= slice_index < slice_count:
        raise ValueError(f"slice {slice_index} of {slice_count} does not exist")
    if len(prompts) < slice_count:
        raise ValueError(f"{len(prompts)} prompts cannot fill {slice_count} cells: give more prompts")
    shuffled = list(prompts)
    random.Random(f"order-{seed}").shuffle(shuffled)
    size = len(shuffled) // slice_count
    return shuffled[slice_index * size : (slice_index + 1) * size]
