"""Two arms of one run, pair by pair: a row per metric, workload and load. Pure, from measures and costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from accounting.comparison import Comparison, compare_costs
from accounting.margin import NonInferiority, no_worse_than
from accounting.pairs_needed import PairsNeeded, pairs_needed
from accounting.unpaired import UnpairedComparison, compare_unpaired
from accounting.verdicts import Verdict
from workbench.compare_metrics import EQUAL_BY_CONSTRUCTION, Metric, decided_by_rate
from workbench.loads import load_of

_FELL_BEHIND = (Verdict.SATURATED, Verdict.FAILED)

Cell = dict[str, Any]
Place = tuple[str, str]  # workload, load's label
#: (arm, workload, load, repeat) -> measures and cost
Cells = Mapping[tuple[str, str, str, int], tuple[Cell, Cell]]


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. `left_out` says which pairs or blocks were not used, and why.

    `kept_up`: both arms answered as fast as requests came in one repeat at least. `margin` (non-inferiority) and `needed` (pairs to find a change by the margin) are None where unpaired; `needed`
    also with fewer than two pairs.
    """

    metric: Metric
    arm: str
    against: str
    place: Place
    found: Comparison | UnpairedComparison
    left_out: tuple[str, ...]
    margin: NonInferiority | None = None
    needed: PairsNeeded | None = None
    kept_up: bool = True

    @property
    def word(self) -> str:
        """In the metric's terms; a fixed rate decides some metrics itself, of arms that kept up with it."""
        if decided_by_rate(self.metric, self.place[1]) and self.kept_up:
            return EQUAL_BY_CONSTRUCTION
        return self.metric.word(self.found.word)


@dataclass(frozen=True, slots=True)
class Question:
    """Which margin counts, and how many arms share the 5 % of error."""

    margin: float
    family: int = 1
    repeats: Sequence[int] = field(default=())


def cells_by_key(measures: Sequence[Cell], costs: Sequence[Cell]) -> Cells:
    """Measures and costs of each cell, by arm, workload, load and repeat."""
    return {
        (m["arm"], m["workload"], load_of(m), m["repeat"]): (m, c)
        for m, c in zip(measures, costs, strict=True)
    }


def paired_row(cells: Cells, metric: Metric, pair: tuple[str, str], place: Place, question: Question) -> Row:
    """An arm against another of the same run at one place: one ratio per repeat in which both are usable."""
    ratios, left_out = [], []
    for repeat in question.repeats:
        one, other = (_value(cells, metric, arm, place, repeat) for arm in pair)
        bad = [f"{arm} {why}" for arm, (_, why) in zip(pair, (one, other), strict=True) if why]
        if bad:
            left_out.append(f"repeat {repeat}: {'; '.join(bad)}")
        elif one[0] is not None and other[0] is not None:
            ratios.append(one[0] / other[0])
    worse = [1 / r for r in ratios] if metric.higher_is_better else ratios
    logs = [math.log(r) for r in ratios]
    # An effect of zero can never be found: without a margin there is no number of pairs.
    known = len(logs) >= 2 and question.margin > 0
    return Row(
        metric,
        *pair,
        place,
        compare_costs(ratios, family=question.family),
        tuple(left_out),
        no_worse_than(worse, question.margin),
        pairs_needed(logs, question.margin, family=question.family) if known else None,
        any(all(_kept_up(cells, arm, place, repeat) for arm in pair) for repeat in question.repeats),
    )


def unpaired_row(
    sides: tuple[Cells, Cells],
    metric: Metric,
    pair: tuple[str, str],
    place: Place,
    family: int,
    counted: Sequence[Sequence[int]],
) -> Row:
    """An arm of one run against an arm of another: block values, never pairs. `counted`: each run's repeats that count."""
    values: list[list[float]] = []
    left_out = []
    for cells, arm, repeats, label in zip(sides, pair, counted, ("first run", "second run"), strict=True):
        values.append([])
        for repeat in sorted(key[3] for key in cells if key[:3] == (arm, *place) and key[3] in repeats):
            value, why = _value(cells, metric, arm, place, repeat)
            if value is None:
                left_out.append(f"{label}, repeat {repeat}: {arm} {why}")
            else:
                values[-1].append(value)
    return Row(metric, *pair, place, compare_unpaired(values[0], values[1], family=family), tuple(left_out))


def still_to_run(row: Row, *, careful: bool = True) -> int | None:
    """Pairs still missing to find a change by the margin; `careful` takes the upper limit of their spread.

    0 where the word is decided, or where there are pairs enough: what is there is then likely below the margin.
    None where it is not known.
    """
    if isinstance(row.found, UnpairedComparison):
        return None
    if is_decided(row):
        return 0
    if row.needed is None:
        return None
    needed = row.needed.careful_pairs if careful else row.needed.pairs
    return None if needed is None else max(0, needed - len(row.found.pair_ratios))


def is_decided(row: Row) -> bool:
    """Whether the interval leaves 1."""
    interval = row.found.interval
    return interval is not None and not interval[0] <= 1 <= interval[1]


def _kept_up(cells: Cells, arm: str, place: Place, repeat: int) -> bool:
    """Whether the arm has a cell there whose answers came as fast as the requests; a short window says so as well."""
    found = cells.get((arm, *place, repeat))
    return found is not None and found[0]["verdict"]["throughput"] not in _FELL_BEHIND


def _value(cells: Cells, metric: Metric, arm: str, place: Place, repeat: int) -> tuple[float | None, str]:
    found = cells.get((arm, *place, repeat))
    return (None, "has no cell") if found is None else metric.usable(*found)
