"""A window as series of equal bins, from the requests that touched it: what tests of steadiness look at.

Tokens count when their event arrived. TPOT of a bin is the time that streams spent between its events over the
tokens that these brought: unlike a request's TPOT it belongs to one instant. TTFT of a bin is the median over the
requests meant to be sent in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accounting import latency
from accounting.records import RequestRecord

#: Bins last a second at least, and there are at most sixty: an hour's are a minute long.
SHORTEST_BIN_S = 1.0
MOST_BINS = 60

Series = NDArray[np.float64]


@dataclass(frozen=True)
class WindowSeries:
    """Columns of equal length, one value per bin; NaN where a bin has none.

    `edges_s` is one longer (s). `tokens_per_s`; `tpot_s` and `ttft_s` (s); `sent`, `answered` and `failed` requests;
    `in_flight`: requests meant to be sent and not ended at the bin's middle, whether or not the server runs them.
    """

    edges_s: Series
    tokens_per_s: Series
    tpot_s: Series
    ttft_s: Series
    sent: Series
    answered: Series
    failed: Series
    in_flight: Series


def bin_edges(start_s: float, end_s: float) -> Series:
    """Edges of equal bins: at least a second each, at most sixty, at least one."""
    bins = min(MOST_BINS, max(1, int((end_s - start_s) / SHORTEST_BIN_S)))
    return np.linspace(start_s, end_s, bins + 1)


def window_series(records: Sequence[RequestRecord], edges_s: Series) -> WindowSeries:
    """Cut what happened between the first and the last edge into bins."""
    width_s = np.diff(edges_s)
    tokens, decode_s, decoded = _token_columns(records, edges_s)
    sends = np.array([r.intended_send_s for r in records])
    ends = np.array([r.end_s for r in records])
    ok = np.array([r.ok for r in records], dtype=bool)
    middles = (edges_s[1:] + edges_s[:-1]) / 2
    in_flight = np.searchsorted(np.sort(sends), middles, "right") - np.searchsorted(
        np.sort(ends), middles, "right"
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        tpot_s = decode_s / decoded
    return WindowSeries(
        edges_s=edges_s,
        tokens_per_s=tokens / width_s,
        tpot_s=tpot_s,
        ttft_s=_medians(((r.intended_send_s, latency.ttft_s(r)) for r in records), edges_s),
        sent=_counts(sends, edges_s),
        answered=_counts(ends[ok], edges_s),
        failed=_counts(ends[~ok], edges_s),
        in_flight=in_flight.astype(float),
    )


def _token_columns(records: Iterable[RequestRecord], edges_s: Series) -> tuple[Series, Series, Series]:
    """Per bin: tokens, seconds between events, tokens of all events but a request's first."""
    bins = len(edges_s) - 1
    tokens, decode_s, decoded = np.zeros(bins), np.zeros(bins), np.zeros(bins)
    start_s, end_s = edges_s[0], edges_s[-1]
    per_s = bins / (end_s - start_s)
    for record in records:
        at_s = record.chunks.at_s
        if not len(at_s) or at_s[-1] < start_s or at_s[0] >= end_s:
            continue
        first, last = np.searchsorted(at_s, (start_s, end_s))
        brought = tokens_brought(record)[first:last]
        where = np.minimum(((at_s[first:last] - start_s) * per_s).astype(np.int64), bins - 1)
        tokens += np.bincount(where, brought, bins)
        skip = int(first == 0)  # the first event's tokens came out of the prefill, not between two events
        gaps_s = np.diff(at_s[max(first - 1, 0) : last])
        decode_s += np.bincount(where[skip:], gaps_s, bins)
        decoded += np.bincount(where[skip:], brought[skip:], bins)
    return tokens, decode_s, decoded


def tokens_brought(record: RequestRecord) -> Series:
    """Tokens that each event brought; spread evenly over the events where the server states only the sum."""
    running = record.chunks.tokens
    if len(running) and (running >= 0).all():
        return np.diff(running, prepend=0).astype(float)
    return np.full(len(running), (record.completion_tokens or 0) / max(len(running), 1))


def _counts(at_s: Series, edges_s: Series) -> Series:
    counted, _ = np.histogram(at_s[(at_s >= edges_s[0]) & (at_s < edges_s[-1])], edges_s)
    return counted.astype(float)


def _medians(pairs: Iterable[tuple[float, float | None]], edges_s: Series) -> Series:
    known = np.array([(at, value) for at, value in pairs if value is not None], dtype=float).reshape(-1, 2)
    where = np.searchsorted(edges_s, known[:, 0], "right") - 1
    return np.array(
        [
            float(np.median(known[where == i, 1])) if (where == i).any() else np.nan
            for i in range(len(edges_s) - 1)
        ]
    )
