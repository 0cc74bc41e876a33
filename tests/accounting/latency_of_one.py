"""Latency of one request, from its record: the formulas of `accounting/latency_columns.py`, None where there is none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from accounting import latency_columns
from accounting.record_columns import RecordColumns, Seconds, as_columns
from accounting.records import RequestRecord


def ttft_s(record: RequestRecord) -> float | None:
    """Time to first token, from the *intended* send. None if failed, textless, or interval-censored."""
    return _one(latency_columns.ttfts_s, record)


def e2e_s(record: RequestRecord) -> float | None:
    """Intended send to the last token's arrival. None if the request failed or sent no token."""
    return _one(latency_columns.e2es_s, record)


def tpot_s(record: RequestRecord) -> float | None:
    """Time per output token after the first chunk; None where `latency_columns.tpots_s` has no value."""
    return _one(latency_columns.tpots_s, record)


def send_lag_s(record: RequestRecord) -> float | None:
    """How late the client sent: actual minus intended send. None if it was never sent."""
    return _one(latency_columns.send_lags_s, record)


def chunk_gaps_s(record: RequestRecord) -> NDArray[np.float64]:
    """Gaps between consecutive events whose two stamps are both arrivals (neither is censored)."""
    return latency_columns.gaps_s(as_columns([record]))


def client_lags_s(record: RequestRecord) -> NDArray[np.float32]:
    """How long after the kernel had them the client had the bytes of each chunk in hand; empty by a user-space clock."""
    return latency_columns.lags_s(as_columns([record]))


def _one(formula: Callable[[RecordColumns], Seconds], record: RequestRecord) -> float | None:
    value = float(formula(as_columns([record]))[0])
    return None if np.isnan(value) else value
