"""An arm against the baseline: one ratio per pair of adjacent blocks, an interval, one word.

Block-to-block variance is far larger than within-block variance, so the block pair is the unit: one
log-ratio per pair and a t-interval over pairs. Below four pairs no test is honest and the word is
"too few blocks": a look, not a proof.

With several arms against one baseline each interval can be widened (`family`) to 1 - 5 % / arms (Bonferroni), so that all
words hold together with 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.special import stdtr, stdtrit  # scipy.stats alone takes most of a second to import

from accounting.sign_flip import sign_flip_p

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
    """A quantity of an arm divided by the baseline's, over pairs of blocks; the words are those of cost.

    `ratio` is the geometric mean of `pair_ratios` (below 1: the arm is cheaper), None without a valid
    pair; `interval` is the t-interval at `confidence`, None below four pairs. `p_value` (of the t-test) and `sign_flip_p`
    are two-sided and not adjusted for the number of arms; None where there is no interval.
    """

    pair_ratios: tuple[float, ...]
    ratio: float | None
    interval: tuple[float, float] | None
    word: Word
    reason: str
    confidence: float = CONFIDENCE
    p_value: float | None = None
    sign_flip_p: float | None = None


def compare_costs(pair_ratios: Sequence[float], *, family: int = 1) -> Comparison:
    """Compare costs from one ratio per block pair (arm / baseline); `family` arms share the 5 % of error.

    Raises:
        ValueError: if a ratio is not a positive number, or the family is empty.
    """
    if family < 1:
        raise ValueError(f"a family holds at least one comparison, not {family}")
    if any(not (math.isfinite(r) and r > 0) for r in pair_ratios):
        raise ValueError(f"cost ratios are positive numbers, not {list(pair_ratios)}")
    pairs, confidence = tuple(pair_ratios), 1 - (1 - CONFIDENCE) / family
    if not pairs:
        return Comparison(pairs, None, None, Word.TOO_FEW_BLOCKS, "no pair of valid cells", confidence)
    logs = np.log(pairs)
    ratio = float(math.exp(float(np.mean(logs))))
    if len(pairs) < MINIMUM_PAIRS:
        counted = "1 pair" if len(pairs) == 1 else f"{len(pairs)} pairs"
        reason = f"{counted} of blocks; {MINIMUM_PAIRS} are needed before a test means anything"
        return Comparison(pairs, ratio, None, Word.TOO_FEW_BLOCKS, reason, confidence)
    standard_error = float(np.std(logs, ddof=1)) / math.sqrt(len(pairs))
    estimate = log_estimate(float(np.mean(logs)), standard_error, len(pairs) - 1, confidence)
    return Comparison(
        pairs, ratio, estimate.interval, estimate.word, "", confidence, estimate.p_value, sign_flip_p(logs)
    )


@dataclass(frozen=True, slots=True)
class LogEstimate:
    """What Student's t says of a mean of log-ratios: interval of the ratio, two-sided p-value, word."""

    interval: tuple[float, float]
    p_value: float
    word: Word


def log_estimate(mean: float, standard_error: float, degrees: float, confidence: float) -> LogEstimate:
    """Interval, p-value and word from a mean log-ratio and its standard error, by Student's t."""
    half = float(stdtrit(degrees, (1 + confidence) / 2)) * standard_error
    low, high = (math.exp(mean + side * half) for side in (-1, 1))
    if standard_error == 0:
        p_value = 1.0 if mean == 0 else 0.0
    else:
        p_value = 2 * float(stdtr(degrees, -abs(mean) / standard_error))
    if high < 1.0:
        word = Word.CHEAPER
    elif low > 1.0:
        word = Word.DEARER
    else:
        word = Word.CANNOT_TELL
    return LogEstimate((low, high), p_value, word)
