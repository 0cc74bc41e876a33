"""Does a series drift? A rank test corrected for autocorrelation, and how large the drift is.

Mann-Kendall's S asks whether later values tend to be larger; Theil-Sen's slope says by how much, undisturbed by
single bad bins. Sources: H. B. Mann, Econometrica 13 (1945); P. K. Sen, JASA 63 (1968); the correction stands in
`accounting/autocorrelation.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from accounting.autocorrelation import first_order, inflation_of_rank_trend

#: Fewest values of a series that is tested.
MINIMUM_VALUES = 12
#: From this share of ordered pairs on (Kendall's tau) no autocorrelation explains the order: of stationary AR(1) series
#: of 25 values with phi 0.9 one in two hundred gets there. Without this a smooth curve would pass, because what is
#: left of it around a line looks like a random walk.
ORDERLY_TAU = 0.8


@dataclass(frozen=True, slots=True)
class Trend:
    """`change` is the drift from the first value to the last, as a share of the series' median (Theil-Sen).

    `z` is S over its corrected standard deviation, `p_value` two-sided; `autocorrelation` is what was corrected for.
    `tau` is S over the number of pairs: 1 where every value is above all before it.
    """

    change: float
    tau: float
    z: float
    p_value: float
    autocorrelation: float

    def significant(self, level: float) -> bool:
        """Whether so orderly a series would come by chance in less than `level` of cases."""
        return self.p_value < level or abs(self.tau) >= ORDERLY_TAU


def trend(values: NDArray[np.float64]) -> Trend | None:
    """Test a series of equally spaced values; None below `MINIMUM_VALUES` or without a level to compare with."""
    n = len(values)
    middle = float(np.median(values)) if n else 0.0
    if n < MINIMUM_VALUES or middle == 0.0:
        return None
    earlier, later = np.triu_indices(n, 1)
    rise = values[later] - values[earlier]
    slope = float(np.median(rise / (later - earlier)))
    s = float(np.sign(rise).sum())
    phi = first_order(values - slope * np.arange(n), fitted_parameters=2)
    variance = _variance_of_s(values) * inflation_of_rank_trend(phi, n)
    z = 0.0 if s == 0.0 or variance <= 0.0 else (s - math.copysign(1.0, s)) / math.sqrt(variance)
    return Trend(slope * (n - 1) / abs(middle), s / len(rise), z, float(2 * ndtr(-abs(z))), phi)


def _variance_of_s(values: NDArray[np.float64]) -> float:
    """Of independent values, corrected for ties (M. G. Kendall, Rank Correlation Methods, 1975)."""
    n = len(values)
    _, tied = np.unique(values, return_counts=True)
    ties = float((tied * (tied - 1.0) * (2 * tied + 5.0)).sum())
    return (n * (n - 1.0) * (2 * n + 5.0) - ties) / 18
