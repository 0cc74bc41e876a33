"""The formulas over requests one by one, in plain Python: what the columns must equal to the bit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from accounting.records import RequestRecord
from accounting.slo import Slo


def ttft_s(r: RequestRecord) -> float | None:
    if not r.ok or r.first_text_s is None or r.first_text_censored:
        return None
    return r.first_text_s - r.intended_send_s


def e2e_s(r: RequestRecord) -> float | None:
    return float(r.chunks.at_s[-1]) - r.intended_send_s if r.ok and len(r.chunks) else None


def tpot_s(r: RequestRecord) -> float | None:
    chunks = r.chunks
    if not r.ok or len(chunks) < 2 or r.completion_tokens is None:
        return None
    first = int(chunks.tokens[0])
    if first < 0 or chunks.censored[0] or r.completion_tokens - first <= 0:
        return None
    return float(chunks.at_s[-1] - chunks.at_s[0]) / (r.completion_tokens - first)


def gaps_s(r: RequestRecord) -> list[float]:
    pairs = zip(r.chunks, list(r.chunks)[1:], strict=False)
    return [later.at_s - earlier.at_s for earlier, later in pairs if not (earlier.censored or later.censored)]


def met(slo: Slo, r: RequestRecord) -> bool:
    first_s = None if r.first_text_s is None else r.first_text_s - r.intended_send_s
    limits = ((slo.ttft_s, first_s), (slo.tpot_s, tpot_s(r)), (slo.e2e_s, e2e_s(r)))
    return r.ok and all(limit is None or value is None or value <= limit for limit, value in limits)


def one_clock(records: Sequence[RequestRecord]) -> list[RequestRecord]:
    counted = Counter(r.clock for r in records if len(r.chunks))
    if not counted:
        return list(records)
    clock = max(counted, key=lambda name: (counted[name], name == "kernel"))
    return [r for r in records if r.clock == clock or not len(r.chunks)]


def tokens_between(records: Sequence[RequestRecord], start_s: float, end_s: float) -> float | None:
    stated = [r for r in records if r.completion_tokens is not None]
    return sum(_until(r, end_s) - _until(r, start_s) for r in stated) if stated else None


def _until(r: RequestRecord, at_s: float) -> float:
    counted = [c for c in r.chunks if c.tokens is not None]
    if counted:
        return float(max([c.tokens or 0 for c in counted if c.at_s < at_s], default=0))
    begin_s = r.end_s if r.first_text_s is None else r.first_text_s
    if at_s >= r.end_s:
        return float(r.completion_tokens or 0)
    if at_s <= begin_s:
        return 0.0
    return float(r.completion_tokens or 0) * (at_s - begin_s) / (r.end_s - begin_s)


def token_series(records: Sequence[RequestRecord], edges_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of each bin, and seconds between events over the tokens of all events but a request's first."""
    bins = len(edges_s) - 1
    tokens, decode_s, decoded = np.zeros(bins), np.zeros(bins), np.zeros(bins)
    per_s = bins / (edges_s[-1] - edges_s[0])
    for r in records:
        own = np.zeros((3, bins))
        running = r.chunks.tokens
        stated = len(running) and (running >= 0).all()
        even = (r.completion_tokens or 0) / max(len(running), 1)
        for i, at_s in enumerate(r.chunks.at_s):
            if not edges_s[0] <= at_s < edges_s[-1]:
                continue
            brought = float(running[i] - (running[i - 1] if i else 0)) if stated else even
            where = min(int((at_s - edges_s[0]) * per_s), bins - 1)
            own[0, where] += brought
            if i:
                own[1, where] += at_s - r.chunks.at_s[i - 1]
                own[2, where] += brought
        tokens, decode_s, decoded = tokens + own[0], decode_s + own[1], decoded + own[2]
    with np.errstate(invalid="ignore", divide="ignore"):
        return tokens, decode_s / decoded
