"""Two servers, a small one and a large one: what a thousand tokens cost when the small one answers a share of them."""

from __future__ import annotations

import math


def routed_usd_per_1k(share: float, small_usd_per_1k: float, large_usd_per_1k: float) -> float:
    """A router knows beforehand: `share` of the tokens come from the small server, the rest from the large one.

    Raises:
        ValueError: for a share outside 0 to 1, or a price that is not positive.
    """
    _check(share, small_usd_per_1k, large_usd_per_1k)
    return share * small_usd_per_1k + (1.0 - share) * large_usd_per_1k


def cascaded_usd_per_1k(share: float, small_usd_per_1k: float, large_usd_per_1k: float) -> float:
    """The small server answers all, and what is not good enough is asked again of the large one: 1 - `share` of it.

    Raises:
        ValueError: for a share outside 0 to 1, or a price that is not positive.
    """
    _check(share, small_usd_per_1k, large_usd_per_1k)
    return small_usd_per_1k + (1.0 - share) * large_usd_per_1k


def least_share_for_a_cascade(small_usd_per_1k: float, large_usd_per_1k: float) -> float | None:
    """The share that the small server must answer for a cascade to cost no more than the large server alone.

    small / large; None where the small server is dearer.
    """
    _check(0.0, small_usd_per_1k, large_usd_per_1k)
    share = small_usd_per_1k / large_usd_per_1k
    return share if share <= 1.0 else None


def _check(share: float, small_usd_per_1k: float, large_usd_per_1k: float) -> None:
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"a share of answers is between 0 and 1, not {share}")
    if not all(math.isfinite(v) and v > 0 for v in (small_usd_per_1k, large_usd_per_1k)):
        raise ValueError(f"costs must be positive, not {small_usd_per_1k} and {large_usd_per_1k}")
