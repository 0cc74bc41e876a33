"""Non-inferiority: is an arm shown to be worse by no more than a margin? Absence of proof is not such a proof."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from accounting.comparison import CONFIDENCE, MINIMUM_PAIRS


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """Whether a ratio (worse above 1) is shown to stay below 1 + `margin`.

    `upper_bound` is the end of the one-sided 95 % t-interval, None below four pairs. `reason` says why not.
    """

    margin: float
    upper_bound: float | None
    shown: bool
    reason: str


def no_worse_than(ratios: Sequence[float], margin: float) -> NonInferiority:
    """Judge ratios of pairs against a margin (0.03: three percent).

    Several such statements that must *all* hold need no correction for their number: each is tested at 5 %, and
    the whole is wrong no more often (intersection-union test, Berger 1982).

    Raises:
        ValueError: if a ratio is not positive or the margin is negative or not finite.
    """
    if not (math.isfinite(margin) and margin >= 0):
        raise ValueError(f"a margin is a share of at least 0, not {margin}")
    if any(not (math.isfinite(r) and r > 0) for r in ratios):
        raise ValueError(f"ratios are positive numbers, not {list(ratios)}")
    if len(ratios) < MINIMUM_PAIRS:
        return NonInferiority(margin, None, False, f"{len(ratios)} valid pairs, {MINIMUM_PAIRS} needed")
    logs = np.log(ratios)
    half = float(stdtrit(len(logs) - 1, CONFIDENCE)) * float(np.std(logs, ddof=1)) / math.sqrt(len(logs))
    upper = math.exp(float(np.mean(logs)) + half)
    shown = upper < 1 + margin
    reason = "" if shown else f"the upper bound {upper:.3f} is not below {1 + margin:.3f}"
    return NonInferiority(margin, upper, shown, reason)
