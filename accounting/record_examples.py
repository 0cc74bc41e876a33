"""Ready-made records, for tests and examples: a request whose stream is given as (seconds after the intended send, tokens so far)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from accounting.records import Chunk, Chunks, Outcome, Phase, RequestRecord

BLANK = RequestRecord(
    request_id="000001",
    phase=Phase.MEASURED,
    stream=0,
    workload="chat",
    prompt_id="chat-1",
    template="t",
    prompt_repeat=0,
    intended_send_s=100.0,
    sent_s=100.0,
    end_s=101.0,
    outcome=Outcome.OK,
    http_status=200,
    error="",
    finish_reason="stop",
    prompt_tokens=10,
    completion_tokens=0,
    token_ids_count=None,
    text_sha256="",
    clock="user",
    first_text_s=None,
    first_text_censored=False,
)


def record(chunks: list[tuple[float, int]] | None = None, **changes: Any) -> RequestRecord:
    """An answered request; `chunks` are (seconds after intended send, cumulative tokens)."""
    rows = [Chunk(BLANK.intended_send_s + at, tokens, censored=False) for at, tokens in chunks or ()]
    stamped = Chunks.of(rows)
    made = replace(
        BLANK,
        chunks=stamped,
        completion_tokens=rows[-1].tokens if rows else 0,
        first_text_s=rows[0].at_s if rows else None,
        end_s=rows[-1].at_s if rows else BLANK.end_s,
    )
    return replace(made, **changes)


def failed(outcome: Outcome = Outcome.CONNECTION, **changes: Any) -> RequestRecord:
    """A request that came to nothing."""
    base = replace(
        BLANK, outcome=outcome, http_status=None, completion_tokens=None, prompt_tokens=None, error="gone"
    )
    return replace(base, **changes)
