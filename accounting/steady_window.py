"""Where is a series steady? The window is chosen by the precision of its mean, never by the mean itself.

Choosing the window that shows the best number reports the luckiest noise. MSER (K. P. White, Simulation 69 (1997)
323) drops the beginning that minimises sum((x - mean)^2) / n^2 of what remains: the squared standard error of its
mean. Bins are batches already, as in MSER-5. What is left must hold no material trend or step; if it does, the
first plateau that holds none is taken, as long as it goes; if there is none, that is the answer.

Material: from 5 % end to end. A drift of 5 % moves the mean by 2.5 % against where the window began or ended, which
is what a beginning that still ramps must move it by, too. Significance: 1 % for trend and step; for a ramp the
search over ends makes large z cheap, so it needs 6. Seeded simulations in the tests hold the three together
to at most 5-6 % false alarms on stationary series with autocorrelation up to 0.6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accounting.autocorrelation import first_order, inflation_of_mean
from accounting.level_shift import LevelShift, level_shift
from accounting.trend import MINIMUM_VALUES, Trend, trend

MATERIAL_CHANGE = 0.05
MATERIAL_BIAS = 0.025
SIGNIFICANCE = 0.01
#: Where a window is still to be chosen, doubt counts against it: a short stretch proves nothing at 1 %.
DOUBT = 0.05
RAMP_Z = 6.0
#: Stands for infinity where the rest does not vary at all: JSON has no infinity.
CERTAIN_Z = 1e6


@dataclass(frozen=True, slots=True)
class Ramp:
    """The end that MSER drops: `bins` of it, and by what share it moves the whole series' mean (`bias`)."""

    bins: int
    bias: float
    z: float


@dataclass(frozen=True, slots=True)
class Steadiness:
    """What a series showed, and in words why it is not steady (`reason`, empty when it is or was not judged).

    All are None where the series was too short to be judged: `judged` says so. `ramp` is at the beginning,
    `drain` at the end.
    """

    trend: Trend | None
    shift: LevelShift | None
    ramp: Ramp | None
    drain: Ramp | None
    reason: str

    @property
    def judged(self) -> bool:
        """Whether the series was long enough for a test."""
        return self.trend is not None


@dataclass(frozen=True, slots=True)
class SteadyWindow:
    """Bins [start, end) that are steady, or None twice and the reason why there are none."""

    start: int | None
    end: int | None
    reason: str = ""


def truncation(values: NDArray[np.float64]) -> int:
    """How many values MSER drops at the beginning: at most half, since a minimum beyond is no steady state."""
    n = len(values)
    if n < 2:
        return 0
    left = np.arange(n, 0, -1)
    sums, squares = (
        np.cumsum(v[::-1])[::-1] for v in (values - values.mean(), (values - values.mean()) ** 2)
    )
    spread = np.maximum(
        squares - sums**2 / left, 1e-12 * squares[0]
    )  # rounding must not choose among flat rests
    score = spread / left**2
    return int(np.argmin(score[: n // 2 + 1]))


def ramp(values: NDArray[np.float64]) -> Ramp | None:
    """What MSER would drop, and whether that differs from the rest; None below `MINIMUM_VALUES`."""
    if len(values) < MINIMUM_VALUES:
        return None
    bins = truncation(values)
    beginning, rest = values[:bins], values[bins:]
    level = float(rest.mean())
    if bins == 0 or level == 0.0:
        return Ramp(0, 0.0, 0.0)
    widened = inflation_of_mean(first_order(rest, fitted_parameters=1))
    error = float(rest.std(ddof=1)) * math.sqrt(widened * (1 / bins + 1 / len(rest)))
    apart = float(beginning.mean()) - level
    z = apart / error if error > 0.0 else math.copysign(CERTAIN_Z, apart)
    return Ramp(bins, float(values.mean()) / level - 1, z)


def steadiness(values: NDArray[np.float64], of: str, *, significance: float = SIGNIFICANCE) -> Steadiness:
    """Judge the whole series; `of` names it in the reason. Bins without a value (NaN) are left out."""
    known = values[~np.isnan(values)]
    found, step, first, last = trend(known), level_shift(known), ramp(known), ramp(known[::-1])
    reasons = []
    for end, where in ((first, "first"), (last, "last")):
        if end is not None and abs(end.bias) >= MATERIAL_BIAS and abs(end.z) >= RAMP_Z:
            reasons.append(
                f"{of} was not settled in the {where} {end.bins} of {len(known)} parts of the window "
                f"and that moves its mean by {end.bias:+.1%}"
            )
    if found is not None and abs(found.change) >= MATERIAL_CHANGE and found.significant(significance):
        reasons.append(
            f"{of} drifts by {found.change:+.1%} over the window (tau {found.tau:+.2f}, p {found.p_value:.2g})"
        )
    if step is not None and abs(step.change) >= MATERIAL_CHANGE and step.p_value < significance:
        reasons.append(
            f"{of} steps by {step.change:+.1%} after {step.at} of {len(known)} parts (p {step.p_value:.2g})"
        )
    return Steadiness(found, step, first, last, "; ".join(reasons))


def choose_window(values: NDArray[np.float64], *, minimum_bins: int = MINIMUM_VALUES) -> SteadyWindow:
    """The first plateau, as long as it goes: for series whose window was not fixed beforehand.

    The longest steady stretch that MSER's start leaves is looked for from the end backwards; a plateau before it
    comes first: later ones are what a server that got worse looks like.

    Args:
        values: one value per bin of equal length, ramp and drain included; no NaN.
        minimum_bins: shortest window; at least `MINIMUM_VALUES`, or two flat bins would win.
    """
    shortest = max(minimum_bins, MINIMUM_VALUES)
    for end in range(len(values), shortest - 1, -1):
        start = truncation(values[:end])
        stretch = values[start:end]
        if end - start >= shortest and not steadiness(stretch, "it", significance=DOUBT).reason:
            earlier = choose_window(values[:start], minimum_bins=shortest)
            return earlier if earlier.start is not None else SteadyWindow(start, end)
    if len(values) < shortest:
        return SteadyWindow(None, None, f"no steady state: {len(values)} parts of time, {shortest} needed")
    return SteadyWindow(None, None, f"no steady state: no {shortest} parts in a row without drift or step")
