"""Every situation that a streaming client must survive, each as the fault rules that bring it about.

For tests of a client, and for long runs with a small share of everything: `script_of_all(0.01)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from serving.fake_server.fault_script import parse_fault_script
from serving.fake_server.faults import FaultScript

Rule = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Situation:
    """`leaves`: what a client can still come away with.

    answer: every token and true counts. counts_missing: every token, no count (or a false one). failure: no whole
    answer. silence: nothing more within the client's patience.
    """

    name: str
    leaves: Literal["answer", "counts_missing", "failure", "silence"]
    rules: tuple[Rule, ...]


def _situation(
    name: str, leaves: Literal["answer", "counts_missing", "failure", "silence"], *rules: Rule
) -> Situation:
    return Situation(name, leaves, rules)


_FOR_EVER_S = 86_400

SITUATIONS: tuple[Situation, ...] = (
    # how the bytes are cut
    _situation("byte by byte", "answer", {"kind": "fragment"}),
    _situation("cut anywhere", "answer", {"kind": "fragment", "sizes": [1, 7, 64, 3, 200, 2]}),
    _situation("events glued", "answer", {"kind": "glue", "events": 4}),
    _situation("events glued into one chunk", "answer", {"kind": "glue", "in_one_chunk": True}),
    _situation("head and all events in one write", "answer", {"kind": "glue", "events": 9999, "with_head": True}),
    _situation("small HTTP chunks", "answer", {"kind": "framing", "chunk_bytes": 5, "chunk_extension": True}),
    _situation("trailers", "answer", {"kind": "framing", "trailers": True}),
    _situation("stream with a length", "answer", {"kind": "framing", "body": "length"}),
    _situation("stream to the end of the connection", "answer", {"kind": "framing", "body": "close"}),
    _situation("HTTP/1.0", "answer", {"kind": "framing", "body": "close", "http_1_0": True}),
    _situation("connection: close", "answer", {"kind": "framing", "says_close": True}),
    _situation("interim answers", "answer", {"kind": "interim"}),
    _situation("closed between requests", "answer", {"kind": "close_idle"}),
    # how the events are written
    _situation("CRLF", "answer", {"kind": "sse", "line_end": "crlf"}),
    _situation("lone CR", "answer", {"kind": "sse", "line_end": "cr"}),
    _situation("byte-order mark", "answer", {"kind": "sse", "bom": True}),
    _situation("comments and other fields", "answer", {"kind": "sse", "comments": True, "fields": True}),
    _situation("data over several lines", "answer", {"kind": "sse", "multi_line": True}),
    _situation("no space after the colon", "answer", {"kind": "sse", "space": False}),
    _situation("keep-alive comments", "answer", {"kind": "keep_alive"}),
    _situation(
        "every oddity byte by byte", "answer",
        {"kind": "sse", "line_end": "crlf", "bom": True, "comments": True, "fields": True, "multi_line": True},
        {"kind": "fragment"}, {"kind": "framing", "chunk_bytes": 3, "chunk_extension": True, "trailers": True},
    ),
    # what the events say
    _situation("events without tokens", "answer", {"kind": "empty_chunks"}),
    _situation("reasoning", "answer", {"kind": "reasoning"}),
    _situation("reasoning_content", "answer", {"kind": "reasoning", "field": "reasoning_content"}),
    _situation("tool calls", "answer", {"kind": "tool_calls"}),
    _situation("several choices", "answer", {"kind": "choices"}),
    _situation("usage in events of its own", "answer", {"kind": "usage_apart"}),
    _situation("a megabyte in one event", "answer", {"kind": "huge_event"}),
    _situation("usage in the last event only", "answer", {"kind": "no_usage", "where": "chunks"}),
    _situation("no usage in the last event", "answer", {"kind": "no_usage", "where": "last"}),
    _situation("no usage at all", "counts_missing", {"kind": "no_usage"}),
    _situation("wrong usage", "counts_missing", {"kind": "wrong_usage"}),
    # how it ends
    _situation("[DONE] twice", "answer", {"kind": "ending", "done": 2}),
    _situation("garbage after [DONE]", "answer", {"kind": "ending", "after": "garbage"}),
    _situation("an event after [DONE]", "answer", {"kind": "ending", "after": "event"}),
    _situation("no [DONE]", "failure", {"kind": "ending", "done": 0}),
    _situation("an error in the stream", "failure", {"kind": "error_event"}),
    _situation("an event that is not JSON", "failure", {"kind": "garbage", "where": "event"}),
    _situation("cut off", "failure", {"kind": "truncate"}),
    _situation("cut off with a proper end", "failure", {"kind": "truncate", "ends_body": True}),
    _situation("closed before the answer", "failure", {"kind": "truncate", "before_head": True}),
    _situation("reset in the stream", "failure", {"kind": "reset"}),
    _situation("reset after the head", "failure", {"kind": "reset", "after_chunks": 0}),
    _situation("reset before the answer", "failure", {"kind": "reset", "before_head": True}),
    _situation("half-closed", "failure", {"kind": "half_close"}),
    # no stream at all
    _situation("not HTTP", "failure", {"kind": "garbage"}),
    _situation("not streamed", "failure", {"kind": "not_streamed"}),
    _situation("another content type", "failure", {"kind": "framing", "content_type": "text/plain"}),
    _situation("429 with seconds", "failure", {"kind": "status", "status": 429, "retry_after_s": 2}),
    _situation(
        "503 with a date", "failure",
        {"kind": "status", "status": 503, "retry_after_s": 2, "retry_after_as": "date"},
    ),
    _situation("an HTML error page", "failure", {"kind": "status", "status": 502, "body": "html"}),
    _situation("a compressed error", "failure", {"kind": "status", "status": 500, "body": "gzip"}),
    _situation("an error without a body", "failure", {"kind": "status", "status": 500, "body": "empty"}),
    *(
        _situation(f"{status} for ever", "failure", {"kind": "redirect", "status": status})
        for status in (301, 302, 303, 307, 308)
    ),
    # nothing more comes
    _situation("no answer", "silence", {"kind": "hang"}),
    _situation("nothing after the head", "silence", {"kind": "stall", "stall_s": _FOR_EVER_S, "before_chunk": 1}),
    _situation("stalled stream", "silence", {"kind": "stall", "stall_s": _FOR_EVER_S}),
    _situation("one byte a second", "silence", {"kind": "fragment", "pause_s": 1.0}),
)  # fmt: skip


def script_of(situation: Situation) -> FaultScript:
    """A script that puts every request into this situation."""
    return parse_fault_script(list(situation.rules))


def script_of_all(share: float, *, leave_out: tuple[str, ...] = ()) -> FaultScript:
    """A script in which every situation's rules get a seeded share of the requests, each independently.

    `leave_out` names situations. A request may get several faults at once: that is a situation, too.
    """
    rules = [
        {**rule, "share": share}
        for situation in SITUATIONS
        if situation.name not in leave_out
        for rule in situation.rules
    ]
    return parse_fault_script(rules)
