"""What a report is made of: the input contract of `dashboards.report.render_report`.

Plain, frozen values only, so that whoever fills them needs nothing from this package. Times are seconds,
prices US dollars, shares between 0 and 1. A value that could not be measured is None and comes with a
reason in a user's words; the page shows "–" and the reason, never a zero.

`(arm, workload, streams)` names a group; `streams` is the number of requests kept in flight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from accounting.errors import RunError

ComparisonWord = Literal["cheaper", "dearer", "cannot tell", "too few blocks"]
Seconds = Sequence[float] | NDArray[np.floating]


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
class Comparison:
    """The cost of an arm divided by the baseline's at one workload and load (below 1: cheaper).

    `pair_ratios` holds one cost ratio per pair of blocks and `interval` the 95 % interval over them, None
    with too few. `speedup` is the arm's output tokens per second divided by the baseline's. `reason` says
    why a value is missing or why the word is not stronger.
    """

    arm: str
    workload: str
    streams: int
    cost_ratio: float | None
    speedup: float | None
    pair_ratios: Sequence[float]
    interval: tuple[float, float] | None
    word: ComparisonWord
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Samples:
    """Latency samples of answered requests in seconds, pooled over repeats, in any order."""

    ttft_s: Seconds = ()
    tpot_s: Seconds = ()
    e2e_s: Seconds = ()
    chunk_gap_s: Seconds = ()


@dataclass(frozen=True, slots=True)
class Group:
    """One arm at one workload and load, pooled over its repeats.

    `reasons` maps a field's name to why it is None. `acceptance_by_position[i]` is the share of drafts
    whose first i + 1 tokens were all accepted; empty where nothing was drafted.
    """

    arm: str
    workload: str
    streams: int
    output_tokens_per_s: float | None
    usd_per_1k_output_tokens: float | None
    usd_per_1k_slo_output_tokens: float | None
    slo_attainment: float | None
    ttft_p50_s: float | None
    ttft_p95_s: float | None
    tpot_p50_s: float | None
    tpot_p95_s: float | None
    acceptance_length: float | None
    acceptance_rate: float | None
    tokens_per_step: float | None
    requests: int
    failed: int
    acceptance_by_position: Sequence[float] = ()
    samples: Samples = field(default_factory=Samples)
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cell:
    """One repeat of a group. A verdict other than "valid" is marked; `reason` also explains every None."""

    arm: str
    workload: str
    streams: int
    repeat: int
    output_tokens: int | None
    window_s: float | None
    output_tokens_per_s: float | None
    usd_per_1k_output_tokens: float | None
    usd_per_1k_slo_output_tokens: float | None
    requests: int
    failed: int
    reconciled: bool
    verdict_throughput: str
    verdict_tails: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ResolvedDifference:
    """One setting, as the servers resolved it, in which an arm differs from the baseline."""

    arm: str
    field: str
    baseline_value: str
    value: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and its 95 % interval, both None where there is none."""

    value: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Quality:
    """What an arm scores on one set, or `words` (and the `command` that would measure it) where nobody measured.

    `differs_in` names the settings that change the numbers against the baseline, none for the baseline itself.
    `score` is a share; `score_difference` and `perplexity_ratio` are paired, on the items that the baseline
    answered too. `reason` explains every None.
    """

    arm: str
    differs_in: Sequence[str]
    set_name: str = ""
    words: str = ""
    command: str = ""
    score: Estimate = field(default_factory=Estimate)
    failures: int = 0
    perplexity: Estimate = field(default_factory=Estimate)
    score_difference: Estimate = field(default_factory=Estimate)
    perplexity_ratio: Estimate = field(default_factory=Estimate)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything on the page. `arms`, `workloads` and `streams` give the order in which things are shown.

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
    streams: Sequence[int]
    groups: Sequence[Group]
    cells: Sequence[Cell]
    comparisons: Sequence[Comparison] = ()
    resolved_differences: Sequence[ResolvedDifference] = ()
    qualities: Sequence[Quality] = ()
    provenance: Sequence[tuple[str, str]] = ()
    commands: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Refuse values that the page would have no place for: they would vanish without a word."""
        _refuse_unknown("baseline", [self.baseline], self.arms)
        for kind, rows in (("group", self.groups), ("cell", self.cells), ("comparison", self.comparisons)):
            _refuse_unknown(f"{kind}'s arm", (row.arm for row in rows), self.arms)
            _refuse_unknown(f"{kind}'s workload", (row.workload for row in rows), self.workloads)
            _refuse_unknown(f"{kind}'s streams", (row.streams for row in rows), self.streams)
        if not self.streams or any(streams < 1 for streams in self.streams):
            raise RunError(f"a report needs loads of at least one stream, not {list(self.streams)}")

    def group(self, arm: str, workload: str, streams: int) -> Group | None:
        """The pooled result, None where the group was not measured."""
        wanted = (arm, workload, streams)
        return next((g for g in self.groups if (g.arm, g.workload, g.streams) == wanted), None)

    def comparison(self, arm: str, workload: str, streams: int) -> Comparison | None:
        """The comparison with the baseline, None where none was made."""
        wanted = (arm, workload, streams)
        return next((c for c in self.comparisons if (c.arm, c.workload, c.streams) == wanted), None)


def _refuse_unknown(what: str, found: Iterable[object], known: Sequence[object]) -> None:
    for value in found:
        if value not in known:
            raise RunError(
                f"the report's {what} {value!r} is not listed: {list(known)}",
                hint="The run directory does not match its plan; render the report from an undamaged run.",
            )
