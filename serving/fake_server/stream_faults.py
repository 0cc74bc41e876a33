"""Faults of the stream: what its events say, how they are written, and how they end."""

from __future__ import annotations

from typing import Literal

from serving.fake_server.fault_rule import FaultRule


class StallFault(FaultRule, frozen=True, tag="stall"):
    """Generate nothing for `stall_s` seconds before chunk n (from 1); later chunks are that much later."""

    stall_s: float
    before_chunk: int = 2


class ErrorEventFault(FaultRule, frozen=True, tag="error_event"):
    """End the stream after n chunks with an error event, then `[DONE]`, as vLLM does."""

    after_chunks: int = 1
    message: str = "EngineCore encountered an issue."


class DieFault(FaultRule, frozen=True, tag="die"):
    """End the process at once after n chunks."""

    after_chunks: int = 1
    exit_code: int = 1


class WrongUsageFault(FaultRule, frozen=True, tag="wrong_usage"):
    """State more completion tokens in `usage` than were sent; fewer with a negative number."""

    extra_tokens: int = 1


class WrongTokenFault(FaultRule, frozen=True, tag="wrong_token"):
    """Give one token in `one_in` (seeded, per prompt) that is not the greedy one, and go on from there: a lossy server."""

    one_in: int = 500


class NoUsageFault(FaultRule, frozen=True, tag="no_usage"):
    """Leave out usage although it was asked for: all of it, the last event's, or (as null) that of the chunks."""

    where: Literal["everywhere", "last", "chunks"] = "everywhere"


class NotStreamedFault(FaultRule, frozen=True, tag="not_streamed"):
    """Answer in one JSON piece although a stream was asked for."""


class SseFault(FaultRule, frozen=True, tag="sse"):
    """Write the events in another way that the standard allows.

    `bom`: a byte-order mark first. `comments`: one before each event. `fields`: `event`, `id` and `retry` in
    each. `multi_line`: the JSON over three data lines. `space` false: no space after the colon.
    """

    line_end: Literal["lf", "crlf", "cr"] = "lf"
    bom: bool = False
    comments: bool = False
    fields: bool = False
    multi_line: bool = False
    space: bool = True


class KeepAliveFault(FaultRule, frozen=True, tag="keep_alive"):
    """A comment every `every_s` seconds while the stream is open, from before the first token on."""

    every_s: float = 0.01


class EmptyChunksFault(FaultRule, frozen=True, tag="empty_chunks"):
    """Events without tokens: so many before the first token (role only, empty, null) and one after each chunk."""

    chunks: int = 3


class ReasoningFault(FaultRule, frozen=True, tag="reasoning"):
    """A chat's first n chunks are reasoning, under this name."""

    field: Literal["reasoning", "reasoning_content"] = "reasoning"
    chunks: int = 3


class ToolCallsFault(FaultRule, frozen=True, tag="tool_calls"):
    """A chat's tokens are the arguments of a tool call."""


class ChoicesFault(FaultRule, frozen=True, tag="choices"):
    """Deal the chunks out to n choices in turn; one event at the end closes all choices but the last."""

    count: int = 2


class UsageApartFault(FaultRule, frozen=True, tag="usage_apart"):
    """Each chunk's usage comes in an event of its own after it, without choices."""


class HugeEventFault(FaultRule, frozen=True, tag="huge_event"):
    """Chunk n (from 1) carries a field of so many bytes that nobody asked for."""

    padding_bytes: int = 1_000_000
    chunk: int = 1


class EndingFault(FaultRule, frozen=True, tag="ending"):
    """`[DONE]` so many times (0: never), then nothing, an event that is not JSON, or bytes that are no event."""

    done: int = 1
    after: Literal["nothing", "event", "garbage"] = "nothing"
