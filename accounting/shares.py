"""A share of items and how well it is known: Wilson's interval, and the paired difference of two shares.

Sources: E. B. Wilson, JASA 22 (1927); R. G. Newcombe, Statistics in Medicine 17 (1998) 2635, method 10 (the
paired difference from two Wilson intervals and their correlation); Q. McNemar, Psychometrika 12 (1947), exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import bdtr, ndtri

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class ShareDifference:
    """The share of the second answerer minus the first's, both asked the same items.

    `only_first` and `only_second` count the items that one alone got right; `p_value` is McNemar's, exact and
    two-sided: how often such a lopsided split would come by chance if both were equally good.
    """

    difference: float
    interval: tuple[float, float]
    only_first: int
    only_second: int
    p_value: float


def wilson_interval(right: int, items: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval in which the true share lies; sensible also at none or all of a few items.

    Raises:
        ValueError: without items, or with more right ones than items.
    """
    if items < 1 or not 0 <= right <= items:
        raise ValueError(f"a share needs at least one item and 0 to all of them right, not {right}/{items}")
    z = float(ndtri((1 + confidence) / 2))
    share, weight = right / items, 1 + z * z / items
    centre = (share + z * z / (2 * items)) / weight
    half = z / weight * math.sqrt(share * (1 - share) / items + z * z / (4 * items * items))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    # At the ends the formula gives the end itself; rounding must not move it inside.
    return (0.0 if right == 0 else low, 1.0 if right == items else high)


def paired_difference(both: int, only_first: int, only_second: int, neither: int) -> ShareDifference:
    """Compare two answerers of the same items from the four counts of a paired table.

    Raises:
        ValueError: without items, or with a negative count.
    """
    counts = (both, only_first, only_second, neither)
    items = sum(counts)
    if items < 1 or min(counts) < 0:
        raise ValueError(f"a paired table needs counts of at least one item, not {counts}")
    first, second = both + only_first, both + only_second
    low_1, high_1 = wilson_interval(first, items)
    low_2, high_2 = wilson_interval(second, items)
    share_1, share_2 = first / items, second / items
    phi = _correlation(*counts)
    down = _root(
        (share_2 - low_2) ** 2 + (high_1 - share_1) ** 2 - 2 * phi * (share_2 - low_2) * (high_1 - share_1)
    )
    up = _root(
        (high_2 - share_2) ** 2 + (share_1 - low_1) ** 2 - 2 * phi * (high_2 - share_2) * (share_1 - low_1)
    )
    difference = share_2 - share_1
    discordant = only_first + only_second
    tail = float(bdtr(min(only_first, only_second), discordant, 0.5)) if discordant else 1.0
    return ShareDifference(
        difference, (difference - down, difference + up), only_first, only_second, min(1.0, 2 * tail)
    )


def _correlation(both: int, only_first: int, only_second: int, neither: int) -> float:
    """Newcombe's phi, with his correction towards zero; zero where a margin is empty."""
    margins = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    if margins == 0:
        return 0.0
    cross = both * neither - only_first * only_second
    items = both + only_first + only_second + neither
    return (max(cross - items / 2, 0.0) if cross > 0 else float(cross)) / math.sqrt(margins)


def _root(value: float) -> float:
    return math.sqrt(max(0.0, value))
