"""What was observed of one request, as plain values.

All times are seconds on one monotonic clock (CLOCK_MONOTONIC of the measuring machine); a cell's file says
how that clock relates to UTC. Tokens come from the server's `usage`, never from counting chunks: with
speculation one chunk carries several tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a request ended. Everything but OK is a failure and stays in the denominators."""

    OK = "ok"
    HTTP_ERROR = "http_error"  # a status other than 200
    STREAM_ERROR = "stream_error"  # the server sent an error event inside the stream
    TRUNCATED = "truncated"  # the stream ended without its end mark
    GARBAGE = "garbage"  # bytes that are not the protocol
    CONNECTION = "connection"  # refused, reset, unreachable
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"  # we stopped it ourselves (the run was interrupted)


class Phase(StrEnum):
    """Why the request was sent: warm-up prompts can never be measured ones."""

    WARM_UP = "warm_up"
    MEASURED = "measured"


@dataclass(frozen=True, slots=True)
class Chunk:
    """One stream event that carried tokens.

    `tokens` is the cumulative completion count that the server's `usage` stated with this event, None
    where the server does not state it per chunk. `censored` is true when later events came out of the
    same read: the stamp is then an upper bound, not an arrival time, and stays out of gap percentiles.
    """

    at_s: float
    tokens: int | None
    censored: bool


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request, whatever happened to it. Times in seconds (monotonic), None where it never came to that."""

    request_id: str
    phase: Phase
    stream: int
    workload: str
    prompt_id: str
    template: str
    prompt_repeat: int  # 0 the first time this prompt is used in the cell
    intended_send_s: float
    sent_s: float | None
    end_s: float
    outcome: Outcome
    http_status: int | None
    error: str  # empty when ok; the server's or the system's own words otherwise
    finish_reason: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    token_ids_count: int | None  # ids the server returned, None when not asked for
    text_sha256: str  # of the answer's text, so that arms can be compared without storing it
    clock: str  # "user": stamped after the read returned; "kernel": stamped by the kernel
    first_text_s: float | None  # arrival of the first event with text
    first_text_censored: bool
    chunks: tuple[Chunk, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the request ended as it should."""
        return self.outcome is Outcome.OK
