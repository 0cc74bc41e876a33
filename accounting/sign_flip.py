"""The sign-flip test over pairs of blocks: exact for any symmetric noise, normal or not.

Where arm and baseline are the same, swapping them within a pair changes the sign of its log-ratio and nothing
else: every pattern of signs was equally likely. The p-value is the share of patterns whose sum is as far from
zero as the one seen (Fisher 1935). With n pairs it cannot be below 2 / 2^n: six pairs reach 0.03, four 0.125.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

ENUMERATED_PAIRS = 16
MONTE_CARLO_PATTERNS = 65_536
#: Sums that differ by rounding alone count as equal.
ROUNDING = 1e-9


def sign_flip_p(log_ratios: Sequence[float] | npt.NDArray[np.float64], *, seed: int = 1) -> float:
    """Two-sided p-value that log-ratios are symmetric around zero.

    All patterns of signs are counted up to `ENUMERATED_PAIRS` pairs; above, `MONTE_CARLO_PATTERNS` seeded ones and
    the one seen itself, which keeps the p-value valid (Phipson and Smyth 2010).

    Raises:
        ValueError: without a log-ratio.
    """
    logs = np.asarray(log_ratios, dtype=float)
    if logs.size == 0:
        raise ValueError("the sign-flip test needs at least one log-ratio")
    seen = abs(float(logs.sum())) - ROUNDING * float(np.abs(logs).sum())
    if logs.size <= ENUMERATED_PAIRS:
        sums = np.zeros(1)
        for log in logs:
            sums = np.concatenate([sums + log, sums - log])
        return float(np.mean(np.abs(sums) >= seen))
    dice = np.random.default_rng(seed)
    signs = dice.integers(0, 2, size=(MONTE_CARLO_PATTERNS, logs.size), dtype=np.int8) * 2 - 1
    as_far = int(np.count_nonzero(np.abs(signs @ logs) >= seen))
    return (as_far + 1) / (MONTE_CARLO_PATTERNS + 1)
