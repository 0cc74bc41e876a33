"""What was measured and compared at each load, as the report's input: loads, groups, cells, comparisons.

`(arm, workload, load)` names a group; `load` is a `Load.label`. `at` is the value it ran at, in streams or requests/s by
the load's kind: the load's own value, or, at capacity, the arm's; None where the arm has no capacity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Seconds = Sequence[float] | NDArray[np.floating]
LoadKind = Literal["streams", "rate"]
ComparisonWord = Literal["cheaper", "dearer", "cannot tell", "too few blocks", "equal by construction"]


@dataclass(frozen=True, slots=True)
class Load:
    """A load as it is shown and looked up: "8 streams", "2 requests/s", "capacity".

    `value` is the number of requests kept in flight or of offered requests per second; None at capacity, where each
    arm has its own.
    """

    label: str
    kind: LoadKind
    value: float | None


@dataclass(frozen=True, slots=True)
class LatencyRatio:
    """A latency of an arm divided by the baseline's (below 1: faster), its 95 % interval, and what may be said."""

    title: str
    ratio: float | None
    interval: tuple[float, float] | None
    word: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """`metric` of an arm divided by the baseline's at one workload and load (below 1: cheaper).

    `pair_ratios` holds one cost ratio per pair of blocks and `interval` the 95 % interval over them, None
    with too few. `speedup` is the arm's output tokens per second divided by the baseline's. `reason` says
    why a value is missing or why the word is not stronger. Where the word is "equal by construction" (a fixed
    offered rate: every arm that keeps up costs the same) `latencies` are what is compared.
    """

    arm: str
    workload: str
    load: str
    cost_ratio: float | None
    speedup: float | None
    pair_ratios: Sequence[float]
    interval: tuple[float, float] | None
    word: ComparisonWord
    reason: str = ""
    metric: str = "$ per 1k output tokens"
    latencies: Sequence[LatencyRatio] = ()


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
    load: str
    at: float | None
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
    load: str
    at: float | None
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
