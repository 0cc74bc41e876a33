"""What was observed of one request, as plain values.

All times are seconds on one monotonic clock (CLOCK_MONOTONIC of the measuring machine); a cell's file says
how that clock relates to UTC. Tokens come from the server's `usage`, never from counting chunks: with
speculation one chunk carries several tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


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

    `at_s` is when it arrived, by the record's clock. `tokens` is the cumulative completion count that the
    server's `usage` stated with this event, None where the server does not state it per chunk. `censored` is
    true when later events came out of the same read: the stamp is then an upper bound (the chunk before it is
    the lower one), not an arrival time, and stays out of gap percentiles. `lag_s` is how long after that stamp
    the client had the bytes in hand; None where the clock is the client's own, which cannot know.
    """

    at_s: float
    tokens: int | None
    censored: bool
    lag_s: float | None = None


class Chunks:
    """An answer's chunks as columns of equal length: an hour at 20,000 tokens/s must fit in memory.

    `at_s` float64 (s); `tokens` int64, cumulative, -1 unknown; `censored` bool; `lag_s` float32 (s), NaN unknown.
    """

    __slots__ = ("at_s", "censored", "lag_s", "tokens")

    def __init__(
        self,
        at_s: NDArray[np.float64],
        tokens: NDArray[np.int64],
        censored: NDArray[np.bool_],
        lag_s: NDArray[np.float32],
    ) -> None:
        self.at_s, self.tokens, self.censored, self.lag_s = at_s, tokens, censored, lag_s

    @classmethod
    def of(cls, chunks: Iterable[Chunk]) -> Chunks:
        """Columns from rows."""
        rows = tuple(chunks)
        return cls(
            np.array([c.at_s for c in rows], dtype=np.float64),
            np.array([-1 if c.tokens is None else c.tokens for c in rows], dtype=np.int64),
            np.array([c.censored for c in rows], dtype=np.bool_),
            np.array([np.nan if c.lag_s is None else c.lag_s for c in rows], dtype=np.float32),
        )

    def __len__(self) -> int:
        """Number of chunks."""
        return len(self.at_s)

    def __getitem__(self, index: int) -> Chunk:
        """One row."""
        tokens, lag_s = int(self.tokens[index]), float(self.lag_s[index])
        return Chunk(
            float(self.at_s[index]),
            None if tokens < 0 else tokens,
            bool(self.censored[index]),
            None if np.isnan(lag_s) else lag_s,
        )

    def __iter__(self) -> Iterator[Chunk]:
        """Row by row."""
        return (self[index] for index in range(len(self)))

    def __eq__(self, other: object) -> bool:
        """Equal columns; unknown lags are equal."""
        return (
            isinstance(other, Chunks)
            and np.array_equal(self.at_s, other.at_s)
            and np.array_equal(self.tokens, other.tokens)
            and np.array_equal(self.censored, other.censored)
            and np.array_equal(self.lag_s, other.lag_s, equal_nan=True)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """The rows."""
        return f"Chunks.of({list(self)!r})"


NO_CHUNKS = Chunks.of(())


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
    clock: str  # "user": stamped after the read returned; "kernel": stamped by the kernel; never both in one record
    first_text_s: float | None  # arrival of the first event with text
    first_text_censored: bool
    chunks: Chunks = field(default_factory=lambda: NO_CHUNKS)
    worker: int = 0  # the load process that sent it
    session: str = ""  # prompt id of the conversation that it belongs to; empty outside one
    turn: int = 0  # 0 for a conversation's first question
    expected_tokens: int | None = None  # the answer's length where it was fixed beforehand
    unstamped_reads: int = 0  # reads that came without the kernel's stamp: their chunks count as censored
    retry_after_s: float | None = None  # the server's wish, with a 429 or 503

    @property
    def ok(self) -> bool:
        """Whether the request ended as it should."""
        return self.outcome is Outcome.OK
