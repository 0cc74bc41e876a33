"""Latencies of many requests at once: the formulas, on columns. NaN where a request has none.

- TTFT: intended send -> arrival of the first event with text (role-only events do not count).
- TPOT: (last token - first chunk) / (tokens - tokens in the first chunk).
- chunk gap: time between two consecutive stream events (others call it ITL; with speculation one event
  carries several tokens, so it is not TPOT).
- E2E: intended send -> last token.

All results in seconds; NaN where the request failed or the stamp is censored.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accounting.record_columns import UNKNOWN, Bools, RecordColumns, Seconds


def ttfts_s(records: RecordColumns) -> Seconds:
    """Time to first token, from the *intended* send. NaN if failed, textless, or interval-censored."""
    exact = records.ok & ~records.first_text_censored
    return np.where(exact, records.first_text_s - records.intended_send_s, np.nan)


def e2es_s(records: RecordColumns) -> Seconds:
    """Intended send to the last token's arrival. NaN if the request failed or sent no token."""
    ends = np.full(len(records), np.nan)
    some = records.ok & (records.event_counts > 0)
    ends[some] = records.events.at_s[records.starts[1:][some] - 1] - records.intended_send_s[some]
    return ends


def tpots_s(records: RecordColumns) -> Seconds:
    """Time per output token after the first chunk.

    NaN if the request failed, if its first chunk carried every token, if the first stamp is censored, or
    if the server does not say how many tokens the first chunk carried.
    """
    times = np.full(len(records), np.nan)
    some = np.flatnonzero(records.ok & (records.event_counts >= 2) & (records.completion_tokens != UNKNOWN))
    first, last = records.starts[:-1][some], records.starts[1:][some] - 1
    events = records.events
    later_tokens = records.completion_tokens[some] - events.tokens[first]
    fit = (events.tokens[first] >= 0) & ~events.censored[first] & (later_tokens > 0)
    times[some[fit]] = (events.at_s[last] - events.at_s[first])[fit] / later_tokens[fit]
    return times


def gaps_s(records: RecordColumns) -> Seconds:
    """Gaps between consecutive events of a request whose two stamps are both arrivals (neither is censored)."""
    censored = records.events.censored
    both_known = ~(censored[1:] | censored[:-1])
    edges = records.starts[1:-1]  # what lies between two requests is no gap
    both_known[edges[(edges > 0) & (edges < len(censored))] - 1] = False
    return np.diff(records.events.at_s)[both_known]


def lags_s(records: RecordColumns) -> NDArray[np.float32]:
    """How long after the kernel had them the client had the bytes of each event in hand; empty by a user-space clock."""
    lags = records.events.lag_s
    known: NDArray[np.float32] = lags[~np.isnan(lags)]
    return known


def censored_share(records: RecordColumns) -> float | None:
    """Share of stream events that were not the last of their read. None without any event."""
    censored = records.events.censored
    return int(censored.sum()) / len(censored) if len(censored) else None


def send_lags_s(records: RecordColumns) -> Seconds:
    """How late the client sent: actual minus intended send. NaN if it was never sent."""
    return records.sent_s - records.intended_send_s


def answered(records: RecordColumns) -> Bools:
    """Which requests have a stream event."""
    return records.event_counts > 0
