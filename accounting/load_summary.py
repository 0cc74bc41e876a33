"""What `kilotoken load --json` prints: one load against one server, from its records and a window.

Milliseconds, because people and other tools compare them so. A percentile below its sample floor is null, and the
`reason` beside it says how many samples there were and how many it needs. All latencies come from one clock, `clock`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accounting import latency_columns
from accounting.evidence import CellFacts, find, plain_findings
from accounting.percentiles import quoted
from accounting.record_columns import OUTCOMES, RecordColumns, Records, as_columns, there
from accounting.stated_tokens import tokens_between
from accounting.verdicts import judge

NO_RUNNING_COUNT = "the server does not say how many tokens its events carry"
OWN_CLOCK = "stamped by the client's own clock, which cannot know its lag"


def summarise(
    records: Records,
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
    columns = as_columns(records)
    found = find(columns, start_s, end_s, known)
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
    tokens = tokens_between(columns, start_s, end_s)
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
        "accounted": accounted(columns),
        "findings": plain_findings(found),
    }


def latency_samples(records: Records) -> dict[str, NDArray[np.float64]]:
    """TTFT, TPOT, E2E and chunk gap of every request that has one, seconds: failures are in no latency."""
    columns = as_columns(records)
    return {
        "ttft": there(latency_columns.ttfts_s(columns)),
        "tpot": there(latency_columns.tpots_s(columns)),
        "e2e": there(latency_columns.e2es_s(columns)),
        "chunk_gap": latency_columns.gaps_s(columns.take(columns.ok)),
    }


def send_lags_s(records: Records) -> NDArray[np.float64]:
    """Actual minus intended send of every request that was sent, seconds."""
    return there(latency_columns.send_lags_s(as_columns(records)))


def no_running_count(records: Records) -> bool:
    """Whether answers have events and none of these says how many tokens there were so far."""
    columns = as_columns(records)
    tokens = columns.take(columns.ok).events.tokens
    return bool(len(tokens)) and bool((tokens < 0).all())


def accounted(records: Records) -> dict[str, Any]:
    """Every request once: by phase and, of the measured ones, by how they ended."""
    columns = as_columns(records)
    measured = columns.outcome[columns.measured]
    counts = np.bincount(measured, minlength=len(OUTCOMES)).tolist()
    ended = {str(outcome): count for outcome, count in zip(OUTCOMES, counts, strict=True) if count}
    return {
        "all": len(columns),
        "warm_up": len(columns) - len(measured),
        "measured": len(measured),
        "by_outcome": dict(sorted(ended.items())),
    }


def _client_lag_ms(records: RecordColumns, clock: str | None) -> dict[str, Any]:
    lags = _milliseconds(quoted(latency_columns.lags_s(records)))
    del lags["p95"]
    if not lags["samples"] and clock == "user":
        lags["reason"] = OWN_CLOCK
    return lags


def _milliseconds(of_s: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value * 1000 if key.startswith("p") and value is not None else value
        for key, value in of_s.items()
    }
