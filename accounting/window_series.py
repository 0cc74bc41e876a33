"""A window as series of equal bins, from the requests that touched it: what tests of steadiness look at.

Tokens count when their event arrived. TPOT of a bin is the time that streams spent between its events over the
tokens that these brought: unlike a request's TPOT it belongs to one instant. TTFT of a bin is the median over the
requests meant to be sent in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accounting import latency_columns
from accounting.record_columns import UNKNOWN, RecordColumns, Records, as_columns

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


def window_series(records: Records, edges_s: Series) -> WindowSeries:
    """Cut what happened between the first and the last edge into bins."""
    columns, width_s = as_columns(records), np.diff(edges_s)
    tokens, decode_s, decoded = _token_columns(columns, edges_s)
    sends, ends, ok = columns.intended_send_s, columns.end_s, columns.ok
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
        ttft_s=_medians(sends, latency_columns.ttfts_s(columns), edges_s),
        sent=_counts(sends, edges_s),
        answered=_counts(ends[ok], edges_s),
        failed=_counts(ends[~ok], edges_s),
        in_flight=in_flight.astype(float),
    )


def _token_columns(records: RecordColumns, edges_s: Series) -> tuple[Series, Series, Series]:
    """Per bin: tokens, seconds between events, tokens of all events but a request's first.

    Neighbours of one request and bin are added up first, then these sums in the order of requests.
    """
    bins = len(edges_s) - 1
    at_s, start_s, end_s = records.events.at_s, edges_s[0], edges_s[-1]
    inside = (at_s >= start_s) & (at_s < end_s)
    if not inside.any():
        return np.zeros(bins), np.zeros(bins), np.zeros(bins)
    first = np.zeros(len(at_s) + 1, np.bool_)
    first[records.starts] = True
    first = first[:-1]  # a request's first event: its tokens came out of the prefill, not between two events
    begins = first.copy()
    begins[1:] |= ~inside[:-1]
    gaps_s = np.diff(at_s, prepend=at_s[:1])
    gaps_s[first] = 0.0
    brought = tokens_brought(records)
    columns = (at_s, first, begins, gaps_s, brought)
    at_s, first, begins, gaps_s, brought = columns if inside.all() else (c[inside] for c in columns)
    where = ((at_s - start_s) * (bins / (end_s - start_s))).astype(np.int64)
    np.minimum(where, bins - 1, out=where)
    begins[0] = True
    begins[1:] |= where[1:] != where[:-1]
    run = np.cumsum(begins)
    where = where[begins]

    def binned(values: Series) -> Series:
        return np.bincount(where, np.bincount(run, values)[1:], bins).astype(float, copy=False)

    return binned(brought), binned(gaps_s), binned(np.where(first, 0.0, brought))


def tokens_brought(records: Records) -> Series:
    """Tokens that each event brought; spread evenly over an answer's events where the server states only the sum."""
    columns = as_columns(records)
    running, starts, counts = columns.events.tokens, columns.starts, columns.event_counts
    brought = np.diff(running, prepend=0).astype(float)
    firsts = starts[:-1][counts > 0]
    brought[firsts] = running[firsts]
    if (running < 0).any():
        silent = np.zeros(len(columns), np.bool_)
        silent[np.repeat(np.arange(len(columns)), counts)[running < 0]] = True
        stated = np.where(columns.completion_tokens == UNKNOWN, 0, columns.completion_tokens)
        evenly = np.repeat(stated / np.maximum(counts, 1), counts)
        brought = np.where(np.repeat(silent, counts), evenly, brought)
    return brought


def _counts(at_s: Series, edges_s: Series) -> Series:
    counted, _ = np.histogram(at_s[(at_s >= edges_s[0]) & (at_s < edges_s[-1])], edges_s)
    return counted.astype(float)


def _medians(at_s: Series, values: Series, edges_s: Series) -> Series:
    there = ~np.isnan(values)
    where = np.searchsorted(edges_s, at_s[there], "right") - 1
    order = np.argsort(where, kind="stable")
    cuts = np.searchsorted(where[order], np.arange(len(edges_s)))
    parts = np.split(values[there][order], cuts)[1:-1]
    return np.array([float(np.median(part)) if len(part) else np.nan for part in parts])
