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
    values = np.asarray(samples, dtype=float)
    ordered = np.sort(values[np.isfinite(values)] * scale)
    if not len(ordered):
        return Curve([], [], [])
    ranks = _kept_ranks(len(ordered))
    x = [_rounded(ordered[0]), *(_rounded(ordered[rank]) for rank in ranks)]
    y = [0.0, *(round((rank + 1) / len(ordered), 5) for rank in ranks)]
    marked = [next(i for i, reached in enumerate(y) if reached >= level) for level in MARKED]
    return Curve(x, y, marked)


def _kept_ranks(count: int) -> list[int]:
    if count <= MAX_POINTS:
        return list(range(count))
    step = (count - 1) / (MAX_POINTS - 1)
    return sorted({round(step * index) for index in range(MAX_POINTS)})


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
