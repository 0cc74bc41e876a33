"""Output tokens of a stretch of time by what the answers state: for servers that expose no counters.

There is no second count to reconcile with, so what rests on this is marked unreconciled and wins no comparison.
"""

from __future__ import annotations

from collections.abc import Sequence

from accounting.records import RequestRecord


def tokens_between(records: Sequence[RequestRecord], start_s: float, end_s: float) -> float | None:
    """Tokens that arrived in [start_s, end_s) by the answers' usage; None if no answer states any.

    Where the server states a running count with its events, tokens count when their event arrived. Elsewhere an
    answer's tokens are spread evenly from its first text to its end: only answers that cross an edge depend on it.
    """
    stated = [record for record in records if record.completion_tokens is not None]
    if not stated:
        return None
    return sum(_tokens_until(record, end_s) - _tokens_until(record, start_s) for record in stated)


def _tokens_until(record: RequestRecord, at_s: float) -> float:
    chunks = record.chunks
    counted = chunks.tokens >= 0
    if counted.any():
        return float(chunks.tokens[counted & (chunks.at_s < at_s)].max(initial=0))
    begin_s = record.first_text_s if record.first_text_s is not None else record.end_s
    total = float(record.completion_tokens or 0)
    if at_s >= record.end_s:
        return total
    if at_s <= begin_s:
        return 0.0
    return total * (at_s - begin_s) / (record.end_s - begin_s)
