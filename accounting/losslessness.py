"""Does speculation change the answers? Greedy texts compared token by token, divergences judged by measured noise.

Greedy decoding with and without speculation gives the same tokens only in exact arithmetic: verification computes k + 1
positions where plain decoding computes one, and a rounding error flips a near-tie. So each first divergence is judged by
the margin between the baseline's two likeliest tokens there, against noise measured on the baseline itself: a second
pass of it in other batches. Behind a divergence the texts have different prefixes and nothing is compared.

The noise of a position is the change of that margin between the two passes, in nats. A flip at margin m needs noise of
m or more. The threshold is its 99.9 % quantile: some thousand positions still know it (the maximum would follow one
outlier), and an honest flip above it needs one of the noisiest positions in a thousand to be a near-tie as well.

Two passes can be computed alike to the last bit, so that the baseline shows no noise at all where there is some (a larger
batch may take the very same path through the kernels). A flip no larger than what the candidate's margins move by where
both chose alike is then neither excused, a server could say anything, nor held against it: nobody can tell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from accounting.divergence_count import Comparison, compared
from accounting.greedy_texts import Divergence, GreedyText, margin_noise

NOISE_QUANTILE = 0.999
LEAST_PROMPTS = 100
LEAST_NOISE_POSITIONS = 1000
"""Below so many the quantile would be the largest value seen."""
LEAST_POWER = 0.9
LEAST_TOKENS = max(LEAST_NOISE_POSITIONS, math.ceil(-500 * math.log(1.0 - LEAST_POWER)))
"""Of all texts together: with fewer, one wrong token in 500 is missed too often even if every token can be compared."""


class LosslessnessWord(StrEnum):
    """The answer in one word or three."""

    LOSSLESS = "lossless"
    WITHIN_NOISE = "within numerical noise"
    LOSSY = "lossy"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Losslessness:
    """The verdict and all that it rests on. Noise and threshold in nats; `baseline_again` is the baseline's own."""

    word: LosslessnessWord
    reason: str
    threshold_nats: float
    noise_positions: int
    candidate: Comparison
    baseline_again: Comparison
    candidate_noise_nats: float | None
    """The same quantile between baseline and candidate: for the reader. It excuses nothing, a server could say anything."""


def judge(
    baseline: Sequence[GreedyText], again: Sequence[GreedyText], candidate: Sequence[GreedyText]
) -> Losslessness:
    """Judge a candidate. All three hold the same prompts in order; `again` is the baseline asked in other batches.

    Raises:
        ValueError: without texts, or with different numbers of them.
    """
    if not len(baseline) == len(again) == len(candidate) > 0:
        raise ValueError(
            f"three passes over the same prompts are needed, not {len(baseline)}, {len(again)} and {len(candidate)} texts"
        )
    noise = margin_noise(baseline, again)
    threshold = _largest_usual(noise) or 0.0
    own, theirs = (compared(baseline, other, noise, threshold) for other in (again, candidate))
    lack = _why_unjudged(baseline, own, noise, threshold)
    if lack:
        word, reason = LosslessnessWord.CANNOT_TELL, lack
    else:
        moved = margin_noise(baseline, candidate, flips=False) if threshold == 0 else noise[:0]
        word, reason = _verdict(theirs, threshold, unsampled_nats=_largest_usual(moved) or 0.0)
    beside = _largest_usual(margin_noise(baseline, candidate))
    return Losslessness(word, reason, threshold, len(noise), theirs, own, beside)


def _largest_usual(noise_nats: npt.NDArray[np.float64]) -> float | None:
    return float(np.quantile(noise_nats, NOISE_QUANTILE, method="higher")) if len(noise_nats) else None


def _verdict(theirs: Comparison, threshold: float, *, unsampled_nats: float) -> tuple[LosslessnessWord, str]:
    """`unsampled_nats`: up to which gap a flip could be noise that the baseline's two passes did not show."""
    counted = f"{theirs.unexcused} of {len(theirs.divergences)} divergences are not excused by the margin"
    undecided = sum(_is_undecided(divergence, unsampled_nats) for divergence in theirs.divergences)
    if theirs.unexcused - undecided >= theirs.least_for_lossy:
        return LosslessnessWord.LOSSY, (
            f"{counted}; the baseline's own noise would bring {theirs.expected_unexcused:.2g}, "
            f"and {theirs.least_for_lossy} or more are called lossy."
        )
    if undecided:
        return LosslessnessWord.CANNOT_TELL, (
            f"{undecided} of {len(theirs.divergences)} divergences lie at margins of at most {unsampled_nats:.3g} nats, "
            "by which the two servers' margins differ where both chose alike. The baseline's two passes are equal to the "
            "last bit, so that its own noise is not known. Ask it again in other batches, or compare in float32."
        )
    if theirs.power < LEAST_POWER:
        return LosslessnessWord.CANNOT_TELL, (
            f"too little could be compared: {theirs.tokens_compared} tokens before the first divergences, at "
            f"{theirs.blind_share:.1%} of them any runner-up is excused. One wrong token in 500 would be found with "
            f"a chance of {theirs.power:.0%}, less than {LEAST_POWER:.0%}. Take more prompts, or float32."
        )
    if not theirs.divergences:
        return LosslessnessWord.LOSSLESS, (
            f"all {theirs.texts} texts agree in all {theirs.tokens_compared} tokens; one wrong token in 500 would "
            f"have been found with a chance of {theirs.power:.1%}."
        )
    return LosslessnessWord.WITHIN_NOISE, (
        f"{theirs.agreeing} of {theirs.texts} texts agree; {theirs.excused} first divergences lie at margins of at most "
        f"{threshold:.3g} nats, within the baseline's own noise, {theirs.unexcused} do not, of "
        f"{theirs.least_for_lossy} that would be called lossy. One wrong token in 500 would have been found with a "
        f"chance of {theirs.power:.1%}."
    )


def _is_undecided(divergence: Divergence, unsampled_nats: float) -> bool:
    return not divergence.excused and (
        divergence.gap_nats is not None and divergence.gap_nats <= unsampled_nats
    )


def _why_unjudged(
    baseline: Sequence[GreedyText], own: Comparison, noise: npt.NDArray[np.float64], threshold: float
) -> str:
    """Why nothing can be said, whatever the candidate answered; empty if something can."""
    if len(baseline) < LEAST_PROMPTS:
        return f"{len(baseline)} prompts are too few; at least {LEAST_PROMPTS} are needed."
    if len(noise) < LEAST_NOISE_POSITIONS:
        return (
            f"the baseline's noise is known at {len(noise)} positions only, at least {LEAST_NOISE_POSITIONS} are "
            "needed: its two passes part too early, or the texts are too short."
        )
    not_greedy = sum(others[0][1] < -threshold for text in baseline for others in text.others)
    if not_greedy:
        return f"the baseline is not greedy: at {not_greedy} positions it chose a token that it held less likely."
    if own.unexcused >= own.least_for_lossy:
        return (
            f"the baseline is unstable: asked twice, it diverged from itself in {len(own.divergences)} texts, "
            f"{own.unexcused} of them beyond its own noise."
        )
    return ""
