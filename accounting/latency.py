"""Latency of one request, from its record. Formulas as in the field's standard terms.

- TTFT: intended send -> arrival of the first event with text (role-only events do not count).
- TPOT: (last token - first chunk) / (tokens - tokens in the first chunk).
- chunk gap: time between two consecutive stream events (others call it ITL; with speculation one event
  carries several tokens, so it is not TPOT).
- E2E: intended send -> last token.

All results in seconds; None where the request failed or the stamp is censored.
"""

from __future__ import annotations

from accounting.records import Chunk, RequestRecord


def ttft_s(record: RequestRecord) -> float | None:
    """Time to first token, from the *intended* send. None if failed, textless, or interval-censored."""
    if not record.ok or record.first_text_s is None or record.first_text_censored:
        return None
    return record.first_text_s - record.intended_send_s


def e2e_s(record: RequestRecord) -> float | None:
    """Intended send to the last token's arrival. None if the request failed or sent no token."""
    if not record.ok or not record.chunks:
        return None
    return record.chunks[-1].at_s - record.intended_send_s


def tpot_s(record: RequestRecord) -> float | None:
    """Time per output token after the first chunk.

    None if the request failed, if its first chunk carried every token, if the first stamp is censored, or
    if the server does not say how many tokens the first chunk carried.
    """
    if not record.ok or len(record.chunks) < 2 or record.completion_tokens is None:
        return None
    first, last = record.chunks[0], record.chunks[-1]
    if first.tokens is None or first.censored:
        return None
    later_tokens = record.completion_tokens - first.tokens
    if later_tokens <= 0:
        return None
    return (last.at_s - first.at_s) / later_tokens


def chunk_gaps_s(record: RequestRecord) -> list[float]:
    """Gaps between consecutive events whose two stamps are both arrivals (neither is censored)."""
    pairs = zip(record.chunks, record.chunks[1:], strict=False)
    return [later.at_s - earlier.at_s for earlier, later in pairs if not (earlier.censored or later.censored)]


def censored_share(records: list[RequestRecord]) -> float | None:
    """Share of stream events that were not the last of their read. None without any event."""
    chunks: list[Chunk] = [chunk for record in records for chunk in record.chunks]
    if not chunks:
        return None
    return sum(chunk.censored for chunk in chunks) / len(chunks)


def send_lag_s(record: RequestRecord) -> float | None:
    """How late the client sent: actual minus intended send. None if it was never sent."""
    if record.sent_s is None:
        return None
    return record.sent_s - record.intended_send_s
