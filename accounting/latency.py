"""Latency of one request, from its record. Formulas as in the field's standard terms.

- TTFT: intended send -> arrival of the first event with text (role-only events do not count).
- TPOT: (last token - first chunk) / (tokens - tokens in the first chunk).
- chunk gap: time between two consecutive stream events (others call it ITL; with speculation one event
  carries several tokens, so it is not TPOT).
- E2E: intended send -> last token.

All results in seconds; None where the request failed or the stamp is censored.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from accounting.records import RequestRecord


def ttft_s(record: RequestRecord) -> float | None:
    """Time to first token, from the *intended* send. None if failed, textless, or interval-censored."""
    if not record.ok or record.first_text_s is None or record.first_text_censored:
        return None
    return record.first_text_s - record.intended_send_s


def e2e_s(record: RequestRecord) -> float | None:
    """Intended send to the last token's arrival. None if the request failed or sent no token."""
    if not record.ok or not len(record.chunks):
        return None
    return float(record.chunks.at_s[-1]) - record.intended_send_s


def tpot_s(record: RequestRecord) -> float | None:
    """Time per output token after the first chunk.

    None if the request failed, if its first chunk carried every token, if the first stamp is censored, or
    if the server does not say how many tokens the first chunk carried.
    """
    chunks = record.chunks
    if not record.ok or len(chunks) < 2 or record.completion_tokens is None:
        return None
    first_tokens = int(chunks.tokens[0])
    if first_tokens < 0 or chunks.censored[0]:
        return None
    later_tokens = record.completion_tokens - first_tokens
    if later_tokens <= 0:
        return None
    return float(chunks.at_s[-1] - chunks.at_s[0]) / later_tokens


def chunk_gaps_s(record: RequestRecord) -> NDArray[np.float64]:
    """Gaps between consecutive events whose two stamps are both arrivals (neither is censored)."""
    chunks = record.chunks
    both_known = ~(chunks.censored[1:] | chunks.censored[:-1])
    return np.diff(chunks.at_s)[both_known]


def client_lags_s(record: RequestRecord) -> NDArray[np.float32]:
    """How long after the kernel had them the client had the bytes of each chunk in hand; empty by a user-space clock."""
    lags = record.chunks.lag_s
    known: NDArray[np.float32] = lags[~np.isnan(lags)]
    return known


def censored_share(records: Iterable[RequestRecord]) -> float | None:
    """Share of stream events that were not the last of their read. None without any event."""
    censored = total = 0
    for record in records:
        censored += int(record.chunks.censored.sum())
        total += len(record.chunks)
    return censored / total if total else None


def send_lag_s(record: RequestRecord) -> float | None:
    """How late the client sent: actual minus intended send. None if it was never sent."""
    if record.sent_s is None:
        return None
    return record.sent_s - record.intended_send_s
