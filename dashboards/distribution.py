"""An empirical distribution as the few points that a reader can see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_POINTS = 160
MARKED = (0.25, 0.5, 0.75)  # far from the tails: a curve's ends are too uncertain to put a mark on


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a rising step line: `x` in the samples' unit, `y` the share of samples at or below it."""

    x: list[float]
    y: list[float]
    marked: list[int]  # indexes of the points that carry the arm's marker


def empirical_curve(samples: Sequence[float] | NDArray[np.floating], scale: float = 1.0) -> Curve:
    """The share of samples at or below each value; thinned evenly when there are many.

    The smallest and the largest sample always stay: a tail that was measured is a tail that is drawn.
    """
    values = finite(samples)
    if not len(values):
        return Curve([], [], [])
    ranks = _kept_ranks(len(values))
    ordered = np.partition(values, ranks)  # in order at the ranks that are kept; all of it is a minute's work
    x = [_rounded(ordered[rank] * scale) for rank in (0, *ranks)]
    y = [0.0, *(round((rank + 1) / len(values), 5) for rank in ranks)]
    marked = [next(i for i, reached in enumerate(y) if reached >= level) for level in MARKED]
    return Curve(x, y, marked)


def finite(samples: Sequence[float] | NDArray[np.floating]) -> NDArray[np.float64]:
    """The samples that are numbers; the same array where all are."""
    values = np.asarray(samples, dtype=float)
    fit = np.isfinite(values)
    return values if fit.all() else values[fit]


def _kept_ranks(count: int) -> list[int]:
    if count <= MAX_POINTS:
        return list(range(count))
    step = (count - 1) / (MAX_POINTS - 1)
    return sorted({round(step * index) for index in range(MAX_POINTS)})


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
