"""What a report is made of: the input contract of `dashboards.report.render_report`.

Plain, frozen values only, so that whoever fills them needs nothing from this package. Times are seconds,
prices US dollars, shares between 0 and 1. A value that could not be measured is None and comes with a
reason in a user's words; the page shows "–" and the reason, never a zero.

Its rows stand in `load_rows`, `search_rows` and `answer_rows`, and are offered here too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from accounting.errors import RunError
from dashboards.answer_rows import Estimate, Losslessness, Quality
from dashboards.load_rows import (
    Cell,
    Comparison,
    ComparisonWord,
    Group,
    LatencyRatio,
    Load,
    LoadKind,
    Samples,
)
from dashboards.search_rows import Decision, Probe, Search

__all__ = [
    "Cell",
    "Comparison",
    "ComparisonWord",
    "Decision",
    "Estimate",
    "Group",
    "LatencyRatio",
    "Load",
    "LoadKind",
    "Losslessness",
    "Price",
    "Probe",
    "Quality",
    "ReportData",
    "ResolvedDifference",
    "Samples",
    "Search",
    "Slo",
]

UNDAMAGED = "The run directory does not match its plan; render the report from an undamaged run."


@dataclass(frozen=True, slots=True)
class Price:
    """What the machine costs: dollars per hour, who says so, and of which day (ISO date) that is."""

    usd_per_hour: float
    source: str
    as_of: str


@dataclass(frozen=True, slots=True)
class Slo:
    """The service-level objective. None: no such limit. Seconds; `attainment_floor` is a share."""

    ttft_s: float | None = None
    tpot_s: float | None = None
    attainment_floor: float | None = None


@dataclass(frozen=True, slots=True)
class ResolvedDifference:
    """One setting, as the servers resolved it, in which an arm differs from the baseline."""

    arm: str
    field: str
    baseline_value: str
    value: str


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything on the page. `arms`, `workloads` and `loads` give the order in which things are shown.

    `created_at` is an ISO timestamp; `headline` is one sentence; `notice` says how far the numbers carry
    and may be empty. `provenance` holds (label, value) pairs, `commands` (arm, command line) pairs.
    """

    title: str
    description: str
    created_at: str
    headline: str
    notice: str
    price: Price
    slo: Slo
    baseline: str
    arms: Sequence[str]
    workloads: Sequence[str]
    loads: Sequence[Load]
    groups: Sequence[Group]
    cells: Sequence[Cell]
    comparisons: Sequence[Comparison] = ()
    resolved_differences: Sequence[ResolvedDifference] = ()
    searches: Sequence[Search] = ()
    qualities: Sequence[Quality] = ()
    losslessness: Sequence[Losslessness] = ()
    provenance: Sequence[tuple[str, str]] = ()
    commands: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Refuse values that the page would have no place for: they would vanish without a word."""
        _refuse_unknown("baseline", [self.baseline], self.arms)
        _refuse_unknown("losslessness's arm", (row.arm for row in self.losslessness), self.arms)
        _refuse_unknown("search's arm", (row.arm for row in self.searches), self.arms)
        _refuse_unknown("search's workload", (row.workload for row in self.searches), self.workloads)
        labels = [load.label for load in self.loads]
        for kind, rows in (("group", self.groups), ("cell", self.cells), ("comparison", self.comparisons)):
            _refuse_unknown(f"{kind}'s arm", (row.arm for row in rows), self.arms)
            _refuse_unknown(f"{kind}'s workload", (row.workload for row in rows), self.workloads)
            _refuse_unknown(f"{kind}'s load", (row.load for row in rows), labels)
        _refuse_loads(self.loads)
        ran_at = [row.at for rows in (self.groups, self.cells) for row in rows]
        ran_at += [probe.at for search in self.searches for probe in search.probes]
        if any(at is not None and not _above_zero(at) for at in ran_at):
            raise RunError("something is said to have run at no load at all", hint=UNDAMAGED)

    @property
    def at_own_loads(self) -> bool:
        """Whether every arm ran at its own capacity and nowhere else: no load is common to all."""
        return all(load.value is None for load in self.loads)

    @property
    def kinds(self) -> list[LoadKind]:
        """The kinds of load, in page order."""
        return list(dict.fromkeys(load.kind for load in self.loads))

    def load(self, label: str) -> Load:
        """The load of that label."""
        return next(load for load in self.loads if load.label == label)

    def group(self, arm: str, workload: str, load: str) -> Group | None:
        """The pooled result, None where the group was not measured."""
        wanted = (arm, workload, load)
        return next((g for g in self.groups if (g.arm, g.workload, g.load) == wanted), None)

    def comparison(self, arm: str, workload: str, load: str) -> Comparison | None:
        """The comparison with the baseline, None where none was made."""
        wanted = (arm, workload, load)
        return next((c for c in self.comparisons if (c.arm, c.workload, c.load) == wanted), None)

    def search(self, arm: str, workload: str) -> Search | None:
        """The search for the arm's capacity, None where none was made."""
        return next((s for s in self.searches if (s.arm, s.workload) == (arm, workload)), None)


def _refuse_loads(loads: Sequence[Load]) -> None:
    least = {"streams": 1.0, "rate": 0.0}
    sound = all(
        load.value is None or (_above_zero(load.value) and load.value >= least[load.kind]) for load in loads
    )
    if not loads or not sound:
        shown = ", ".join(f"{load.label} ({load.value})" for load in loads) or "none"
        raise RunError(f"a report needs loads of at least one stream, or of a rate above 0, not {shown}")
    if len({load.label for load in loads}) < len(loads):
        raise RunError(f"two loads of the report have the same label: {[load.label for load in loads]}")


def _above_zero(value: float) -> bool:
    return math.isfinite(value) and value > 0


def _refuse_unknown(what: str, found: Iterable[object], known: Sequence[object]) -> None:
    for value in found:
        if value not in known:
            raise RunError(f"the report's {what} {value!r} is not listed: {list(known)}", hint=UNDAMAGED)
