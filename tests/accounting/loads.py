"""Records of a whole load against an exact server: N closed-loop streams, or given arrivals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from accounting.record_examples import BLANK
from accounting.records import Chunks, RequestRecord


def answer(
    sent_s: float,
    *,
    number: int = 0,
    ttft_s: float = 0.05,
    tpot_s: float = 0.02,
    tokens: int = 50,
    lag_s: float = 2e-4,
) -> RequestRecord:
    """One answered request with exact stamps."""
    at_s = sent_s + ttft_s + tpot_s * np.arange(tokens)
    return replace(
        BLANK,
        request_id=f"{number:06}",
        prompt_id=f"p-{number}",
        intended_send_s=sent_s,
        sent_s=sent_s + 1e-4,
        end_s=float(at_s[-1]),
        completion_tokens=tokens,
        clock="kernel",
        first_text_s=float(at_s[0]),
        chunks=Chunks(
            at_s, np.arange(1, tokens + 1), np.zeros(tokens, np.bool_), np.full(tokens, lag_s, np.float32)
        ),
    )


def closed_load(
    streams: int,
    until_s: float,
    *,
    tpot_s: Callable[[float], float] = lambda _at_s: 0.02,
    lag_s: float = 2e-4,
) -> list[RequestRecord]:
    """Streams that begin within the first second; `tpot_s` is asked at each send."""
    records = []
    for stream in range(streams):
        at_s = stream / streams
        while at_s < until_s:
            made = answer(at_s, number=len(records), tpot_s=tpot_s(at_s), lag_s=lag_s)
            records.append(replace(made, stream=stream))
            at_s = made.end_s
    return records
