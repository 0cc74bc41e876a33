"""An arm against the baseline: one ratio per pair of adjacent blocks, an interval, one word.

Block-to-block variance is far larger than within-block variance, so the block pair is the unit: one
log-ratio per pair and a t-interval over pairs. Below four pairs no test is honest and the word is
"too few blocks": a look, not a proof.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.special import stdtrit  # scipy.stats alone takes most of a second to import

MINIMUM_PAIRS = 4
CONFIDENCE = 0.95


class Word(StrEnum):
    """What may be said of an arm's cost against the baseline's."""

    CHEAPER = "cheaper"
    DEARER = "dearer"
    CANNOT_TELL = "cannot tell"
    TOO_FEW_BLOCKS = "too few blocks"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Cost of an arm divided by the baseline's, over pairs of blocks.

    `ratio` is the geometric mean of `pair_ratios` (below 1: the arm is cheaper), None without a valid
    pair; `interval` is the t-interval at `CONFIDENCE`, None below four pairs.
    """

    pair_ratios: tuple[float, ...]
    ratio: float | None
    interval: tuple[float, float] | None
    word: Word
    reason: str


def compare_costs(pair_ratios: Sequence[float]) -> Comparison:
    """Compare costs from one ratio per block pair (arm / baseline).

    Raises:
        ValueError: if a ratio is not a positive number.
    """
    if any(not (math.isfinite(r) and r > 0) for r in pair_ratios):
        raise ValueError(f"cost ratios are positive numbers, not {list(pair_ratios)}")
    pairs = tuple(pair_ratios)
    if not pairs:
        return Comparison(pairs, None, None, Word.TOO_FEW_BLOCKS, "no pair of valid cells")
    logs = np.log(pairs)
    ratio = float(math.exp(float(np.mean(logs))))
    if len(pairs) < MINIMUM_PAIRS:
        reason = f"{len(pairs)} pairs of blocks; {MINIMUM_PAIRS} are needed before a test means anything"
        return Comparison(pairs, ratio, None, Word.TOO_FEW_BLOCKS, reason)
    standard_error = float(np.std(logs, ddof=1)) / math.sqrt(len(pairs))
    half = float(stdtrit(len(pairs) - 1, (1 + CONFIDENCE) / 2)) * standard_error
    low, high = (math.exp(float(np.mean(logs)) + side * half) for side in (-1, 1))
    if high < 1.0:
        word = Word.CHEAPER
    elif low > 1.0:
        word = Word.DEARER
    else:
        word = Word.CANNOT_TELL
    return Comparison(pairs, ratio, (low, high), word, "")
