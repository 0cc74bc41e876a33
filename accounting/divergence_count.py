"""One pass held against the baseline: divergences that its noise excuses, and those that it does not.

How many unexcused ones noise alone would bring is computed, not assumed: the sum of P(noise >= gap) over every token
that could have been chosen instead and would not be excused. Hence how many are too many, and what would be found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, pdtr, pdtrc

from accounting.greedy_texts import Divergence, GreedyText, divergence_at, shared_tokens

FALSE_ALARM = 0.01
WRONG_RATE = 1 / 500
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Comparison:
    """One pass held against the baseline's first. `blind_share`: compared positions at which a runner-up is excused.

    `expected_unexcused`: how many unexcused divergences noise alone would bring. `least_for_lossy`: how many are more
    than that at the level `FALSE_ALARM`. `power`: the chance to see that many if one token in 500 were wrong.
    """

    texts: int
    agreeing: int
    tokens_compared: int
    divergences: tuple[Divergence, ...]
    blind_share: float
    expected_unexcused: float
    least_for_lossy: int
    power: float
    unexcused_share_upper: float

    @property
    def excused(self) -> int:
        """Divergences that the margin excused."""
        return sum(divergence.excused for divergence in self.divergences)

    @property
    def unexcused(self) -> int:
        """Divergences that it did not."""
        return len(self.divergences) - self.excused


def compared(
    baseline: Sequence[GreedyText],
    other: Sequence[GreedyText],
    noise_nats: npt.NDArray[np.float64],
    threshold_nats: float,
) -> Comparison:
    """Compare two passes over the same prompts, at least one; `noise_nats` (positions,) is the baseline's own."""
    noise, threshold = noise_nats, threshold_nats
    divergences: list[Divergence] = []
    margins: list[float] = []
    gaps: list[float] = []
    for number, (a, b) in enumerate(zip(baseline, other, strict=True)):
        shared = shared_tokens(a, b)
        seen = a.others[: shared + 1]
        margins.extend(others[0][1] for others in seen)
        gaps.extend(gap for others in seen for _, gap in others if gap > threshold)
        if shared < max(len(a.token_ids), len(b.token_ids)):
            divergences.append(divergence_at(number, shared, a, b, threshold))
    tokens = len(margins)
    # P(noise >= gap) for every token that would not be excused. Noise in the other direction flips nothing, but is
    # not taken off: the estimate errs towards calling noise noise.
    reached = len(noise) - np.searchsorted(np.sort(noise), np.asarray(gaps))
    expected = float(reached.sum()) / len(noise) if len(noise) else 0.0
    blind = sum(margin <= threshold for margin in margins) / tokens
    least = _least_for_lossy(expected)
    unexcused = sum(not divergence.excused for divergence in divergences)
    return Comparison(
        texts=len(baseline),
        agreeing=len(baseline) - len(divergences),
        tokens_compared=tokens,
        divergences=tuple(divergences),
        blind_share=blind,
        expected_unexcused=expected,
        least_for_lossy=least,
        power=float(pdtrc(least - 1, tokens * WRONG_RATE * (1.0 - blind))),
        unexcused_share_upper=upper_bound(unexcused, tokens),
    )


def _least_for_lossy(expected: float) -> int:
    """The least count that noise alone reaches with a chance of at most `FALSE_ALARM`: Poisson, `expected` on average."""
    least = 1
    while 1.0 - float(pdtr(least - 1, expected)) > FALSE_ALARM:
        least += 1
    return least


def upper_bound(events: int, trials: int) -> float:
    """One-sided 95 % upper bound of a share (C. J. Clopper, E. S. Pearson, Biometrika 26 (1934) 404).

    Raises:
        ValueError: without trials, or with more events than trials.
    """
    if trials < 1 or not 0 <= events <= trials:
        raise ValueError(
            f"a share needs at least one trial and 0 to all of them events, not {events}/{trials}"
        )
    return 1.0 if events == trials else float(betaincinv(events + 1, trials - events, CONFIDENCE))
