"""From records and a window to what a verdict is judged from: the one place where the parts are put together.

`kilotoken run` and `kilotoken load` judge by the same code; what only one of them knows is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accounting import latency_columns
from accounting.answer_length import LengthCheck, check_lengths
from accounting.answer_memory import AnswerMemory
from accounting.client_lag import (
    ClientLag,
    client_findings,
    client_lag,
    client_tail_findings,
    one_clock,
    rate_finding,
)
from accounting.host_noise import HostNoise, HostSample, host_noise
from accounting.prefix_hits import PrefixHits
from accounting.record_columns import RecordColumns, Records, Seconds, as_columns, there
from accounting.saturation import Saturation, saturation
from accounting.steady_window import Steadiness, steadiness
from accounting.verdicts import CellEvidence
from accounting.window_series import WindowSeries, bin_edges, window_series


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFacts:
    """What the records do not say of a cell.

    `streams` in a closed loop, `offered_rate_per_s` in an open one; `rate_changes` where arrivals ramp, step or
    replay a trace: throughput then moves with them and is not asked to be steady. `late_edges`: the window's counters were
    read too late (`window_edges`). `queue`: the server's own count of running and waiting requests at (equally spaced)
    instants of the window, where it gives one. `prefix_hits` and `answer_memory`: what the server's caches can have known
    beforehand; None where it was not looked at.
    """

    streams: int | None = None
    offered_rate_per_s: float | None = None
    rate_changes: bool = False
    late_edges: str = ""
    queue: NDArray[np.float64] | None = None
    host_samples: Sequence[HostSample] = ()
    calibrated_tokens_per_s: float | None = None
    prefix_hits: PrefixHits | None = None
    answer_memory: AnswerMemory | None = None

    @property
    def warm_caches(self) -> tuple[str, ...]:
        """Findings of caches that knew the work beforehand."""
        return tuple(
            found.reason for found in (self.prefix_hits, self.answer_memory) if found and found.reason
        )


@dataclass(frozen=True, slots=True)
class WindowFindings:
    """Everything found in a window. `in_window`: measured requests meant to be sent in it; `timed`: those of them
    with the clock that most were stamped by (`left_out` have another one and are in no latency).
    """

    in_window: RecordColumns
    timed: RecordColumns
    series: WindowSeries
    throughput: Steadiness
    tpot: Steadiness
    ttft: Steadiness
    saturation: Saturation | None
    client: ClientLag
    noise: HostNoise
    lengths: LengthCheck
    evidence: CellEvidence
    known: CellFacts

    @property
    def left_out(self) -> int:
        """Requests in the window that another clock stamped."""
        return len(self.in_window) - len(self.timed)


def sent_inside(records: Records, start_s: float, end_s: float) -> RecordColumns:
    """The measured requests that belong to a window: by their intended send."""
    columns = as_columns(records)
    sends = columns.intended_send_s
    return columns.take(columns.measured & (start_s <= sends) & (sends < end_s))


def find(records: Records, start_s: float, end_s: float, known: CellFacts) -> WindowFindings:
    """Look at a window from every side. `evidence` lacks what only the caller knows (reconciliation, caches...)."""
    columns = as_columns(records)
    in_window = sent_inside(columns, start_s, end_s)
    _, timed = one_clock(in_window)
    series = window_series(columns, bin_edges(start_s, end_s))
    throughput, tpot, ttft = (
        steadiness(values, name)
        for values, name in (
            (series.tokens_per_s, "throughput"),
            (series.tpot_s, "TPOT"),
            (series.ttft_s, "TTFT"),
        )
    )
    client, noise = client_lag(timed), host_noise(known.host_samples, start_s, end_s)
    lengths, full = check_lengths(in_window), _saturation(series, known)
    gated = (tpot,) if known.rate_changes else (throughput, tpot)
    medians = {
        "ttft_p50_s": _median(latency_columns.ttfts_s(timed)),
        "tpot_p50_s": _median(latency_columns.tpots_s(timed)),
    }
    e2e_p50_s = _median(latency_columns.e2es_s(timed))
    ended_inside = (start_s <= columns.end_s) & (columns.end_s < end_s)
    too_fast = rate_finding(float(series.tokens_per_s.mean()), known.calibrated_tokens_per_s)
    evidence = CellEvidence(
        window_s=end_s - start_s,
        streams=known.streams,
        offered_rate_per_s=known.offered_rate_per_s,
        in_flight=float(series.in_flight.mean()),
        completions=int((columns.ok & ended_inside).sum()),
        requests=len(in_window),
        failed=int((~in_window.ok).sum()),
        repeated_prompts=int((in_window.prompt_repeat > 0).sum()),
        warm_caches=known.warm_caches,
        declared_lengths=lengths.reason,
        client=tuple(filter(None, [*client_findings(client, e2e_p50_s=e2e_p50_s), too_fast])),
        client_tails=tuple(client_tail_findings(client, **medians)),
        noise=noise.reason,
        late_edges=known.late_edges,
        saturation=full.reason if full else "",
        drift=tuple(s.reason for s in gated if s.reason),
    )
    return WindowFindings(
        in_window, timed, series, throughput, tpot, ttft, full, client, noise, lengths, evidence, known
    )


def _saturation(series: WindowSeries, known: CellFacts) -> Saturation | None:
    """None in a closed loop: its streams wait, so nothing piles up."""
    if known.streams is not None:
        return None
    queue = known.queue if known.queue is not None else series.in_flight
    return saturation(
        queue, series.ttft_s, sent=float(series.sent.sum()), answered=float(series.answered.sum())
    )


def _median(values: Seconds) -> float | None:
    known = there(values)
    return float(np.median(known)) if len(known) else None


def plain_findings(found: WindowFindings) -> dict[str, Any]:
    """The findings as plain values for measures.json: what was looked at, also where nothing was found."""
    return {
        "steadiness": {
            "tokens_per_s": _plain_steadiness(found.throughput),
            "tpot": _plain_steadiness(found.tpot),
            "ttft": _plain_steadiness(found.ttft),
        },
        "saturation": None if found.saturation is None else asdict(found.saturation),
        "client": asdict(found.client) | {"left_out_by_clock": found.left_out},
        "host": asdict(found.noise),
        "declared_lengths": asdict(found.lengths),
        "prefix_hits": None if found.known.prefix_hits is None else asdict(found.known.prefix_hits),
        "answer_memory": None if found.known.answer_memory is None else asdict(found.known.answer_memory),
    }


def _plain_steadiness(steady: Steadiness) -> dict[str, Any]:
    if not steady.judged:
        return {"judged": False, "reason": "the window is too short to test for drift"}
    return {"judged": True, **asdict(steady)}
