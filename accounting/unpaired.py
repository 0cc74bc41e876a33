"""Two boxes or two dates: blocks that were never neighbours, compared without pairs and labelled so.

Welch's t-interval over the logarithms of block values (Welch 1947). It knows the noise between blocks of one run; a
difference between the boxes or the days is part of the ratio, and no test can take it out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from accounting.comparison import CONFIDENCE, MINIMUM_PAIRS, Word, log_estimate


@dataclass(frozen=True, slots=True)
class UnpairedComparison:
    """Geometric mean of one group divided by the other's (below 1: cheaper), with Welch's interval and p-value.

    `interval`, `degrees` of freedom and `p_value` are None with fewer than four blocks on a side.
    """

    blocks: tuple[int, int]
    ratio: float | None
    interval: tuple[float, float] | None
    degrees: float | None
    p_value: float | None
    word: Word
    reason: str
    confidence: float = CONFIDENCE


def compare_unpaired(
    values: Sequence[float], baseline_values: Sequence[float], *, family: int = 1
) -> UnpairedComparison:
    """Compare one value per block of each side; `family` arms share the 5 % of error.

    Raises:
        ValueError: if a value is not a positive number, or the family is empty.
    """
    if family < 1:
        raise ValueError(f"a family holds at least one comparison, not {family}")
    if any(not (math.isfinite(v) and v > 0) for v in (*values, *baseline_values)):
        raise ValueError("block values are positive numbers")
    blocks, confidence = (len(values), len(baseline_values)), 1 - (1 - CONFIDENCE) / family
    if 0 in blocks:
        reason = "no valid block on one side"
        return UnpairedComparison(blocks, None, None, None, None, Word.TOO_FEW_BLOCKS, reason, confidence)
    one, other = np.log(values), np.log(baseline_values)
    mean = float(np.mean(one) - np.mean(other))
    ratio = math.exp(mean)
    if min(blocks) < MINIMUM_PAIRS:
        reason = f"{blocks[0]} and {blocks[1]} blocks; {MINIMUM_PAIRS} on each side are needed"
        return UnpairedComparison(blocks, ratio, None, None, None, Word.TOO_FEW_BLOCKS, reason, confidence)
    parts = [float(np.var(logs, ddof=1)) / len(logs) for logs in (one, other)]
    variance = sum(parts)
    shares = sum(part**2 / (len(logs) - 1) for part, logs in zip(parts, (one, other), strict=True))
    degrees = variance**2 / shares if shares > 0 else float(sum(blocks) - 2)
    found = log_estimate(mean, math.sqrt(variance), degrees, confidence)
    return UnpairedComparison(
        blocks, ratio, found.interval, degrees, found.p_value, found.word, "", confidence
    )
