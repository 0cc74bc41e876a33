"""Latency of a set of requests as measures.json states it: percentiles in seconds, or why there is none."""

from __future__ import annotations

from typing import Any

from accounting.client_lag import one_clock
from accounting.load_summary import NO_RUNNING_COUNT, latency_samples, no_running_count
from accounting.missing import Measured
from accounting.percentiles import quoted
from accounting.record_columns import Records


def latency_summaries(records: Records) -> dict[str, Any]:
    """ttft_s, tpot_s, e2e_s and chunk_gap_s of the requests that one clock stamped."""
    _, timed = one_clock(records)
    summaries = {f"{name}_s": quoted(samples) for name, samples in latency_samples(timed).items()}
    if not summaries["tpot_s"]["samples"] and no_running_count(timed):
        summaries["tpot_s"]["reason"] = NO_RUNNING_COUNT
    return summaries


def plain(value: Measured) -> dict[str, Any]:
    """A value and, where it is None, why."""
    return {"value": value.value, "reason": value.reason or None}
