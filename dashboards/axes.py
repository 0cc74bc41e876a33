"""Axes of the figures: where they start, when they are logarithmic, which ticks they carry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboards.distribution import finite
from dashboards.load_rows import LoadKind
from dashboards.number_format import load_number, number

COST_LOG_FROM = 5.0  # largest over smallest cost from which a linear axis would flatten the small ones
TIME_LOG_FROM = 10.0  # longest over median wait, likewise
MAX_LOG_SPREAD = 1000.0  # a logarithmic time axis starts at most this far below its end
MAX_TICKS = 6  # labels that fit a narrow panel
MIN_TICK_GAP = 0.08  # of the axis, between two labels of loads
LOAD_TITLES: dict[LoadKind, str] = {"streams": "concurrent streams", "rate": "offered requests/s"}

Axis = dict[str, Any]


def load_axis(values: Sequence[float], kind: LoadKind, first: Sequence[float] = ()) -> Axis:
    """Load on a logarithmic axis that is labelled at the loads that were run, as far as there is room.

    Where there is not, those in `first` are labelled before others.
    """
    title = {"title": {"text": LOAD_TITLES[kind], "standoff": 8}}
    if not values:
        return {**title, "range": [0, 1], "showticklabels": False}
    low, high = math.log10(min(values)), math.log10(max(values))
    room = max(0.08 * (high - low), 0.08)
    ticks = _apart([*sorted(first), *sorted(values)], MIN_TICK_GAP * (high - low + 2 * room))
    return {
        **title,
        "type": "log",
        "range": [low - room, high + room],
        "tickvals": ticks,
        "ticktext": [load_number(tick) for tick in ticks],
        "minor": {"ticks": ""},
    }


def _apart(ranked: Sequence[float], least_decades: float) -> list[float]:
    """Those of the values that stand far enough from all ranked before them for a label each, rising."""
    kept: list[float] = []
    for value in ranked:
        if all(abs(math.log10(value / other)) >= least_decades for other in kept):
            kept.append(value)
    return sorted(kept)


def side_step(values: Sequence[float], index: int, count: int) -> float:
    """Factor that moves one arm's dots a little aside so that equal values do not cover each other."""
    span = max(math.log10(max(values) / min(values)), 0.3) if values else 0.3
    return float(10 ** (0.012 * span * (index - (count - 1) / 2)))


def money_axis(values: Sequence[float]) -> Axis:
    """Dollars from zero, or logarithmic where the values spread over more than a factor of five."""
    positive = [value for value in values if value > 0]
    if not positive or max(positive) / min(positive) <= COST_LOG_FROM:
        return {"range": [0, max(positive, default=1.0) * 1.12], "tickformat": "$.12~f", "nticks": 5}
    return _log_axis(min(positive) / 1.25, max(positive) * 1.25, "$")


def time_axis(unit: str, samples: Sequence[float] | NDArray[np.floating], scale: float = 1.0) -> Axis:
    """Time from zero, or logarithmic where the longest wait is far beyond the usual one; samples times `scale`."""
    title: Axis = {"text": unit, "standoff": 8}
    positive = finite(samples)
    if len(positive) and positive.min() <= 0:
        positive = positive[positive > 0]
    if not len(positive):
        return {"range": [0, 1], "title": title}
    middle = len(positive) // 2
    shortest, longest = float(positive.min()) * scale, float(positive.max()) * scale
    usual = float(np.partition(positive, middle)[middle]) * scale
    if longest / usual <= TIME_LOG_FROM:
        return {"range": [0, longest * 1.05], "title": title, "nticks": 6, "tickformat": ",.6~f"}
    low = max(shortest, longest / MAX_LOG_SPREAD)
    title["text"] = f"{unit}, log scale"
    return {**_log_axis(low / 1.1, longest * 1.1, ""), "title": title}


def _log_axis(low: float, high: float, prefix: str) -> Axis:
    ticks = _ticks_between(low, high)
    return {
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": ticks,
        "ticktext": [prefix + number(tick, max(0, -math.floor(math.log10(tick)))) for tick in ticks],
    }


def _ticks_between(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [float(f"{step}e{decade}") for decade in decades for step in steps]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= MAX_TICKS:
            break
    return inside


def share_axis() -> Axis:
    """A share from 0 to 100 %."""
    return {"range": [0, 1.04], "tickformat": ".0%", "tickvals": [0, 0.25, 0.5, 0.75, 1]}
