"""Output tokens of a stretch of time by what the answers state: for servers that expose no counters.

There is no second count to reconcile with, so what rests on this is marked unreconciled and wins no comparison.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accounting.record_columns import UNKNOWN, RecordColumns, Records, as_columns


def tokens_between(records: Records, start_s: float, end_s: float) -> float | None:
    """Tokens that arrived in [start_s, end_s) by the answers' usage; None if no answer states any.

    Where the server states a running count with its events, tokens count when their event arrived. Elsewhere an
    answer's tokens are spread evenly from its first text to its end: only answers that cross an edge depend on it.
    """
    columns = as_columns(records)
    stated = columns.take(columns.completion_tokens != UNKNOWN)
    if not len(stated):
        return None
    return float(sum((_tokens_until(stated, end_s) - _tokens_until(stated, start_s)).tolist()))


def _tokens_until(records: RecordColumns, at_s: float) -> NDArray[np.float64]:
    """Tokens of each request that had arrived by then."""
    tokens = records.events.tokens
    request = np.repeat(np.arange(len(records)), records.event_counts)
    counted = np.zeros(len(records), np.bool_)
    counted[request[tokens >= 0]] = True
    so_far = np.zeros(len(records), np.int64)
    there = (tokens >= 0) & (records.events.at_s < at_s)
    np.maximum.at(so_far, request[there], tokens[there])
    return np.where(counted, so_far, _spread_evenly(records, at_s))


def _spread_evenly(records: RecordColumns, at_s: float) -> NDArray[np.float64]:
    begin_s = np.where(np.isnan(records.first_text_s), records.end_s, records.first_text_s)
    whole = records.completion_tokens.astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):  # an answer without length is there or not
        part = whole * (at_s - begin_s) / (records.end_s - begin_s)
    return np.where(at_s >= records.end_s, whole, np.where(at_s <= begin_s, 0.0, part))
