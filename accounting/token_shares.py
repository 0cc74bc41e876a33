"""Which part of a window's cost is input, cached input and output: the time that each kind of token takes in a step.

A window's time is steps x a + prefilled tokens x b + cached tokens x c + generated tokens x d, fitted over windows that
differ in these, every coefficient at least zero. A step's own time a serves whatever is in it, so that it is shared in
the proportion of the rest. The server's histograms of prefill and decode time are residence times: they count a step once
for each request in it, and sum to more than the time there was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

#: Windows more than there are coefficients, so that a misfit can show.
SPARE_WINDOWS = 2
#: Above this condition number of the scaled columns the windows are too alike to tell the coefficients apart.
MOST_ALIKE = 50.0
#: A fit whose windows are off by more than this on average says nothing about parts.
WORST_MISFIT = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowWork:
    """What a window did: seconds, engine steps, and tokens by kind."""

    window_s: float
    steps: float
    prefill_tokens: float
    cached_tokens: float
    output_tokens: float

    @property
    def counts(self) -> tuple[float, float, float, float]:
        """In the order of `TokenTimes`."""
        return self.steps, self.prefill_tokens, self.cached_tokens, self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTimes:
    """Seconds of a step, and of each prefilled, cached and generated token in it. `misfit`: mean share that the windows
    are off by."""

    step_s: float
    prefill_s: float
    cached_s: float
    output_s: float
    misfit: float


@dataclass(frozen=True, slots=True)
class TokenShares:
    """Shares of a window's cost; they sum to one."""

    input: float
    cached_input: float
    output: float


def fit_token_times(windows: Sequence[WindowWork]) -> TokenTimes:
    """Least squares over the windows' relative errors, no coefficient below zero (Lawson and Hanson).

    Raises:
        ValueError: if the windows are too few or too alike, or do not follow such a sum.
    """
    counts = np.asarray([work.counts for work in windows], dtype=np.float64).reshape(-1, 4)
    there = counts.any(axis=0)
    least = int(there.sum()) + SPARE_WINDOWS
    if len(windows) < least:
        raise ValueError(
            f"{len(windows)} windows are too few to tell the parts of a step apart, {least} are needed"
        )
    seconds = np.asarray([work.window_s for work in windows])
    columns = counts[:, there] / seconds[:, None]
    scale = columns.max(axis=0)
    alike = float(np.linalg.cond(columns / scale))
    if alike > MOST_ALIKE:
        raise ValueError(
            f"the windows are too alike to tell the parts of a step apart (condition {alike:.0f}, at most "
            f"{MOST_ALIKE:.0f}): measure workloads of other lengths, and other loads"
        )
    found, _ = nnls(columns / scale, np.ones(len(windows)))
    misfit = float(np.mean(np.abs(columns / scale @ found - 1.0)))
    if misfit > WORST_MISFIT:
        raise ValueError(
            f"the windows are off by {misfit:.0%} on average from a sum of steps and tokens, more than {WORST_MISFIT:.0%}"
        )
    times = np.zeros(4)
    times[there] = found / scale
    return TokenTimes(
        step_s=float(times[0]), prefill_s=float(times[1]), cached_s=float(times[2]), output_s=float(times[3]),
        misfit=misfit,
    )  # fmt: skip


def token_shares(work: WindowWork, times: TokenTimes) -> TokenShares:
    """Shares of one window.

    Raises:
        ValueError: if no kind of token was found to take time.
    """
    parts = np.asarray(
        [
            times.prefill_s * work.prefill_tokens,
            times.cached_s * work.cached_tokens,
            times.output_s * work.output_tokens,
        ]
    )
    total = parts.sum()
    if not total > 0:
        raise ValueError("no kind of token was found to take time beside the steps themselves")
    shares = parts / total
    return TokenShares(float(shares[0]), float(shares[1]), float(shares[2]))
