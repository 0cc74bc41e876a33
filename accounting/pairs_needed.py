"""How many pairs of blocks would decide? From the spread of a pilot's log-ratios, by the power of the t-test.

The power of a two-sided t-test at a true log-ratio d with standard deviation s and n pairs is that of the non-central
t distribution with n - 1 degrees of freedom and non-centrality d sqrt(n) / s. A pilot of few pairs knows s badly:
beside the number for s itself stands the one for its upper 80 % limit, s sqrt((n - 1) / chi2_0.2(n - 1)), the size
that a careful plan takes (Browne 1995).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri, nctdtr, stdtrit

from accounting.comparison import CONFIDENCE, MINIMUM_PAIRS

POWER = 0.8
UPPER_LIMIT = 0.8
MOST_PAIRS = 10_000
#: Beyond this non-centrality the power is 1 to nine digits, and scipy's series may give up.
CERTAIN = 30.0
FAR_TAIL_ENDS = 5.0


@dataclass(frozen=True, slots=True)
class PairsNeeded:
    """Pairs that find a change by `effect` (0.03: three percent) in 80 % of tries; None: more than `MOST_PAIRS`.

    `pairs` takes the pilot's standard deviation `sd` of a log-ratio as it is, `careful_pairs` its upper limit.
    """

    effect: float
    sd: float
    sd_upper: float
    pairs: int | None
    careful_pairs: int | None


def pairs_needed(log_ratios: Sequence[float], effect: float, *, family: int = 1) -> PairsNeeded:
    """Pairs needed to find `effect`, from a pilot's log-ratios; `family` arms share the 5 % of error.

    Raises:
        ValueError: with fewer than two log-ratios, an effect that is not positive, or an empty family.
    """
    if len(log_ratios) < 2:
        raise ValueError("the spread of pairs is known from two pairs on")
    if not (math.isfinite(effect) and effect > 0):
        raise ValueError(f"an effect is a positive share, not {effect}")
    if family < 1:
        raise ValueError(f"a family holds at least one comparison, not {family}")
    confidence = 1 - (1 - CONFIDENCE) / family
    degrees = len(log_ratios) - 1
    sd = float(np.std(log_ratios, ddof=1))
    upper = sd * math.sqrt(degrees / float(chdtri(degrees, UPPER_LIMIT)))
    size = math.log1p(effect)
    return PairsNeeded(effect, sd, upper, _smallest(size, sd, confidence), _smallest(size, upper, confidence))


def power_of_pairs(pairs: int, effect: float, sd: float, *, confidence: float = CONFIDENCE) -> float:
    """Probability that `pairs` pairs find a true ratio of 1 + `effect` when a log-ratio spreads by `sd`.

    Raises:
        ValueError: with fewer than two pairs.
    """
    if pairs < 2:
        raise ValueError("a test needs two pairs")
    return _power(pairs, abs(math.log1p(effect)), sd, confidence)


def _power(pairs: int, size: float, sd: float, confidence: float) -> float:
    critical = float(stdtrit(pairs - 1, (1 + confidence) / 2))
    if sd == 0 or size * math.sqrt(pairs) / sd > CERTAIN + critical:
        return 1.0
    off_centre = size * math.sqrt(pairs) / sd
    below = float(nctdtr(pairs - 1, off_centre, critical))
    # The far tail is below 1e-11 there, and scipy answers nan.
    far = float(nctdtr(pairs - 1, off_centre, -critical)) if off_centre < FAR_TAIL_ENDS else 0.0
    return 1.0 - below + far


def _smallest(size: float, sd: float, confidence: float) -> int | None:
    """Smallest number of pairs with the power wanted, by bisection: power rises with the number of pairs."""
    if _power(MOST_PAIRS, size, sd, confidence) < POWER:
        return None
    low, high = MINIMUM_PAIRS - 1, MOST_PAIRS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(middle, size, sd, confidence) >= POWER else (middle, high)
    return high
