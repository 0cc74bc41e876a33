"""What `kilotoken load --json` prints: one load against one server, from its records and a window.

Milliseconds, because people and other tools compare them so. A percentile below its sample floor is null, and the
`reason` beside it says how many samples there were and how many it needs. All latencies come from one clock, `clock`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accounting import latency
from accounting.client_lag import all_lags_s
from accounting.evidence import CellFacts, find, plain_findings
from accounting.percentiles import quoted
from accounting.records import Phase, RequestRecord
from accounting.stated_tokens import tokens_between
from accounting.verdicts import judge

NO_RUNNING_COUNT = "the server does not say how many tokens its events carry"
OWN_CLOCK = "stamped by the client's own clock, which cannot know its lag"


def summarise(
    records: Sequence[RequestRecord],
    start_s: float,
    end_s: float,
    known: CellFacts,
    *,
    reconciled: bool | None = None,
    reconciliation_reason: str = "",
    drafts: float | None = None,
    minimum_window_s: float | None = None,
) -> dict[str, Any]:
    """Summarise a load.

    Args:
        records: every request of the load, warm-up included.
        start_s: the window's beginning on the records' clock; a request belongs to it by its intended send.
        end_s: its end.
        known: what the records do not say.
        reconciled: whether usage and the server's counters agree; None where the server has none.
        reconciliation_reason: why not.
        drafts: drafts of the window by the server's counters; None without speculation or counters.
        minimum_window_s: shortest window that is not too short; the product's own by default.

    Raises:
        ValueError: if the window is not positive.
    """
    if end_s <= start_s:
        raise ValueError(f"a window of {end_s - start_s} s holds nothing")
    found = find(records, start_s, end_s, known)
    latencies = {
        f"{name}_ms": _milliseconds(quoted(samples)) for name, samples in latency_samples(found.timed).items()
    }
    if not latencies["tpot_ms"]["samples"] and no_running_count(found.timed):
        latencies["tpot_ms"]["reason"] = NO_RUNNING_COUNT
    evidence = replace(
        found.evidence,
        reconciled=reconciled,
        reconciliation_reason=reconciliation_reason,
        drafts=drafts,
        p95_reason="" if latencies["ttft_ms"]["p95"] is not None else latencies["ttft_ms"]["reason"],
    )
    verdict = (
        judge(evidence) if minimum_window_s is None else judge(evidence, minimum_window_s=minimum_window_s)
    )
    tokens = tokens_between(records, start_s, end_s)
    window_s = end_s - start_s
    return {
        "requests": len(found.in_window),
        "failed": evidence.failed,
        "output_tokens": None if tokens is None else round(tokens),
        "window_s": window_s,
        "output_tokens_per_s": None if tokens is None else tokens / window_s,
        "requests_per_s": {
            "offered": known.offered_rate_per_s,
            "sent": len(found.in_window) / window_s,
            "answered": evidence.completions / window_s,
        },
        **latencies,
        "client_lag_ms": _client_lag_ms(found.timed, found.client.clock),
        "censored_share": found.client.censored_share,
        "clock": found.client.clock,
        "send_lateness_ms": _milliseconds(quoted(send_lags_s(found.in_window))),
        "verdict": {
            "throughput": str(verdict.throughput),
            "tails": str(verdict.tails),
            "acceptance": None if verdict.acceptance is None else str(verdict.acceptance),
        },
        "reason": verdict.reason or None,
        "accounted": accounted(records),
        "findings": plain_findings(found),
    }


def latency_samples(records: Sequence[RequestRecord]) -> dict[str, NDArray[np.float64]]:
    """TTFT, TPOT, chunk gap and E2E of every request that has one, seconds."""
    of: dict[str, Callable[[RequestRecord], float | None]] = {
        "ttft": latency.ttft_s,
        "tpot": latency.tpot_s,
        "e2e": latency.e2e_s,
    }
    samples = {
        name: np.array([v for r in records if (v := measure(r)) is not None]) for name, measure in of.items()
    }
    return {**samples, "chunk_gap": all_gaps_s(records)}


def all_gaps_s(records: Sequence[RequestRecord]) -> NDArray[np.float64]:
    """Every gap between two stamped events of answered requests: failures are in no latency."""
    parts = [latency.chunk_gaps_s(r) for r in records if r.ok]
    return np.concatenate(parts) if parts else np.empty(0)


def send_lags_s(records: Sequence[RequestRecord]) -> NDArray[np.float64]:
    """Actual minus intended send of every request that was sent, seconds."""
    return np.array([lag for r in records if (lag := latency.send_lag_s(r)) is not None])


def no_running_count(records: Sequence[RequestRecord]) -> bool:
    """Whether answers have events and none of these says how many tokens there were so far."""
    counts = [r.chunks.tokens for r in records if r.ok and len(r.chunks)]
    return bool(counts) and all((tokens < 0).all() for tokens in counts)


def accounted(records: Sequence[RequestRecord]) -> dict[str, Any]:
    """Every request once: by phase and, of the measured ones, by how they ended."""
    measured = [r for r in records if r.phase is Phase.MEASURED]
    return {
        "all": len(records),
        "warm_up": len(records) - len(measured),
        "measured": len(measured),
        "by_outcome": dict(sorted(Counter(str(r.outcome) for r in measured).items())),
    }


def _client_lag_ms(records: Sequence[RequestRecord], clock: str | None) -> dict[str, Any]:
    lags = _milliseconds(quoted(all_lags_s(records)))
    del lags["p95"]
    if not lags["samples"] and clock == "user":
        lags["reason"] = OWN_CLOCK
    return lags


def _milliseconds(of_s: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value * 1000 if key.startswith("p") and value is not None else value
        for key, value in of_s.items()
    }
