"""How an arm's capacity was found, as the report's input: every probe in the order measured, and the load chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dashboards.load_rows import LoadKind

Decision = Literal["meets", "misses", "unjudged"]


@dataclass(frozen=True, slots=True)
class Probe:
    """One measured cell of a search, at `at` streams or requests/s; `decision` is whether it met the SLO's floor.

    `attainment` is the share of requests that met every limit, with its 95 % interval. `reason` explains the
    decision and every None.
    """

    at: float
    requests: int
    attainment: float | None
    attainment_interval: tuple[float, float] | None
    output_tokens_per_s: float | None
    usd_per_1k_slo_output_tokens: float | None
    verdict_throughput: str
    verdict_tails: str
    decision: Decision
    reason: str


@dataclass(frozen=True, slots=True)
class Search:
    """The search for one arm's highest load within the SLO on one workload.

    `chosen` is that load, None where no probed load met `floor` (a share); `sentence` says what was found,
    `nearest_slo` the nearest SLO that would have been met, `confirmed` what the blocks at the chosen load said.
    """

    arm: str
    workload: str
    kind: LoadKind
    probes: Sequence[Probe]
    chosen: float | None
    sentence: str
    floor: float
    nearest_slo: str = ""
    confirmed: str = ""
