"""Seeded series for tests of tests: what stands still and what does not."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]


def ar1(seed: int, phi: float, n: int, rows: int) -> Series:
    """`rows` stationary AR(1) series of n values, mean 0 and variance 1."""
    shocks = np.random.default_rng(seed).standard_normal((rows, n + 100))
    series = np.zeros_like(shocks)
    for t in range(1, n + 100):
        series[:, t] = phi * series[:, t - 1] + shocks[:, t]
    return series[:, 100:] * math.sqrt(1 - phi**2)


def around(level: float | Series, noise: Series, share: float) -> Series:
    """Series about a level, or about a shape, with noise of `share` of it."""
    return level * (1 + share * noise)
