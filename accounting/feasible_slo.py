"""The nearest SLO that a set of answers does meet, for an SLO that they do not.

Each answer has a ratio: the largest of its statistics over their limits (failed: infinite). All limits times the
floor's quantile of these ratios are met by the floor's share of answers; then each limit, in the order TTFT, TPOT, E2E,
goes back as far as enough answers still meet all of them.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from accounting.record_columns import RecordColumns, Records, Seconds, as_columns
from accounting.slo import Slo, statistics

LIMITS = ("ttft_s", "tpot_s", "e2e_s")
#: Loosened limits are rounded up to so many significant digits: nobody writes 0.04319 s into an SLO.
DIGITS = 2


def nearest_feasible(records: Records, slo: Slo, *, headroom: float = 0.0) -> Slo | None:
    """The SLO of the same floor with the least loosened limits that these answers meet; the given one if they meet it.

    None where so many requests failed that no limit helps, or without requests. With `headroom`, the answers meet the
    limits less that share, as a search for capacity asks of them.
    """
    tight = slo.tightened(headroom)
    found = _nearest(as_columns(records), tight)
    if found is None:
        return None
    given_up = {name for name in LIMITS if getattr(found, name) != getattr(tight, name)}
    return replace(slo, **{name: _round_up(getattr(found, name) / (1.0 - headroom)) for name in given_up})


def _nearest(columns: RecordColumns, slo: Slo) -> Slo | None:
    needed = max(1, math.ceil(round(slo.attainment_floor * len(columns), 9)))
    ratios = np.sort(_ratios(columns, slo))
    if not len(ratios) or math.isinf(factor := float(ratios[needed - 1])):
        return None
    if factor <= 1:
        return slo
    factor *= (
        1 + 1e-9
    )  # a limit times its ratio may come out a bit below the value that the ratio was made of
    loosened = replace(slo, **{name: limit * factor for name in LIMITS if (limit := getattr(slo, name))})
    for name in LIMITS:
        if getattr(slo, name) is not None:
            loosened = _with_least(columns, loosened, slo, name, needed)
    return loosened


def _with_least(columns: RecordColumns, loosened: Slo, asked: Slo, name: str, needed: int) -> Slo:
    """`loosened` with the smallest value of one limit, not below the one asked for, that `needed` answers still meet."""
    unlimited: dict[str, Any] = {name: None}
    others = replace(loosened, **unlimited).met(columns)
    values = statistics(columns)[LIMITS.index(name)][others]
    # An answer without the statistic cannot break its limit.
    least = float(np.sort(np.nan_to_num(values, nan=0.0))[needed - 1])
    return replace(loosened, **{name: max(getattr(asked, name), least)})


def _ratios(columns: RecordColumns, slo: Slo) -> Seconds:
    """Largest statistic over its limit, of each answer."""
    largest = np.zeros(len(columns))
    for limit, values in zip((slo.ttft_s, slo.tpot_s, slo.e2e_s), statistics(columns), strict=True):
        if limit is not None:
            largest = np.fmax(largest, values / limit)
    return np.where(columns.ok, largest, np.inf)


def _round_up(value: float) -> float:
    step = 10.0 ** (math.floor(math.log10(value)) - DIGITS + 1)
    count = round(value / step)
    rounded = float(f"{count * step:.{DIGITS}g}")
    # Never below the value itself, however small the difference: the answers must meet it.
    return rounded if rounded >= value else float(f"{(count + 1) * step:.{DIGITS}g}")


def loosened_words(asked: Slo, feasible: Slo) -> str:
    """`tpot_s 0.033 -> 0.058`: the limits that had to give; empty where none did."""
    return ", ".join(
        f"{name} {getattr(asked, name):g} -> {getattr(feasible, name):g}"
        for name in LIMITS
        if getattr(asked, name) != getattr(feasible, name)
    )
