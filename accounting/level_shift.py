"""Does a series step from one level to another? Pettitt's change-point test, corrected for autocorrelation.

A. N. Pettitt, Applied Statistics 28 (1979) 126: rank based, one change point, approximate p = 2 exp(-6 K^2 / (n^3 + n^2)).
K^2 is divided by the factor by which autocorrelation widens sums of neighbours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accounting.autocorrelation import first_order, inflation_of_mean
from accounting.trend import MINIMUM_VALUES


@dataclass(frozen=True, slots=True)
class LevelShift:
    """The likeliest step: before value `at`, by `change` (medians, as a share of the earlier), with its p-value."""

    at: int
    change: float
    p_value: float


def level_shift(values: NDArray[np.float64]) -> LevelShift | None:
    """Find the likeliest step; None below `MINIMUM_VALUES` or where the earlier level is zero."""
    n = len(values)
    if n < MINIMUM_VALUES:
        return None
    rank = _mean_ranks(values)
    u = (2 * np.cumsum(rank) - np.arange(1, n + 1) * (n + 1.0))[:-1]
    at = int(np.argmax(np.abs(u))) + 1
    before, after = values[:at], values[at:]
    level = float(np.median(before))
    if level == 0.0:
        return None
    residuals = np.concatenate([before - before.mean(), after - after.mean()])
    widened = inflation_of_mean(first_order(residuals, fitted_parameters=2))
    p_value = min(1.0, 2 * math.exp(-6 * float(u[at - 1]) ** 2 / (n**3 + n**2) / widened))
    return LevelShift(at, float(np.median(after)) / level - 1, p_value)


def _mean_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_rank: NDArray[np.float64] = (2 * last - counts + 1) / 2
    return mean_rank[which]
