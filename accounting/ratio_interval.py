"""Interval of a ratio of sums whose terms come in independent clusters: acceptance over requests, nats over texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit


def clustered_ratio_interval(
    numerators: Sequence[float], denominators: Sequence[float], *, level: float = 0.95
) -> tuple[float, float] | None:
    """Two-sided interval of sum(numerators) / sum(denominators), one pair per cluster.

    Linearised (Cochran, Sampling Techniques, 3rd ed., section 6.4): with r the ratio and n clusters that have
    a denominator, se = sqrt(n / (n - 1) x sum (y - r x)^2) / sum x, and Student's t with n - 1 degrees of
    freedom. Steps of one answer resemble each other, so treating them as independent would be far too narrow.
    None where fewer than two clusters count: one cannot show how clusters differ.

    Raises:
        ValueError: if there are not as many numerators as denominators.
    """
    y, x = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    if y.shape != x.shape:
        raise ValueError("a numerator and a denominator for each cluster")
    clusters = int(np.count_nonzero(x))
    if clusters < 2:
        return None
    ratio = y.sum() / x.sum()
    spread = np.sqrt(clusters / (clusters - 1) * np.sum((y - ratio * x) ** 2)) / x.sum()
    half = float(stdtrit(clusters - 1, 0.5 + level / 2)) * float(spread)
    return float(ratio) - half, float(ratio) + half
