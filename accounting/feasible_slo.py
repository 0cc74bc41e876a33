"""The nearest SLO that a set of answers does meet, for an SLO that they do not.

Each answer has a ratio: the largest of its statistics over their limits (failed: infinite). All limits times the
floor's quantile of these ratios are met by the floor's share of answers; limits that need not be loosened for that
are put back, one after the other, in the order TTFT, TPOT, E2E.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from accounting.record_columns import RecordColumns, Records, Seconds, as_columns
from accounting.slo import Slo, statistics

LIMITS = ("ttft_s", "tpot_s", "e2e_s")
#: Loosened limits are rounded up to so many significant digits: nobody writes 0.04319 s into an SLO.
DIGITS = 2


def nearest_feasible(records: Records, slo: Slo) -> Slo | None:
    """The SLO of the same floor with the least loosened limits that these answers meet; the given one if they meet it.

    None where so many requests failed that no limit helps, or without requests.
    """
    columns = as_columns(records)
    needed = max(1, math.ceil(round(slo.attainment_floor * len(columns), 9)))
    ratios = np.sort(_ratios(columns, slo))
    if not len(ratios) or math.isinf(factor := float(ratios[needed - 1])):
        return None
    if factor <= 1:
        return slo
    loosened = replace(
        slo, **{name: _round_up(limit * factor) for name in LIMITS if (limit := getattr(slo, name))}
    )
    for name in LIMITS:
        tighter = replace(loosened, **{name: getattr(slo, name)})
        if int(tighter.met(columns).sum()) >= needed:
            loosened = tighter
    return loosened


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
