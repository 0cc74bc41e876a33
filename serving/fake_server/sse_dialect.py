"""One server-sent event as bytes: as vLLM writes it, or in any other way that the standard allows."""

from __future__ import annotations

from serving.fake_server.stream_faults import SseFault

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ENDS = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}


def event_bytes(data: bytes, number: int, dialect: SseFault | None) -> bytes:
    """The `number`-th event (from 0) of a stream, with the blank line that ends it."""
    if dialect is None:
        return b"data: " + data + b"\n\n"
    colon = b"data: " if dialect.space else b"data:"
    lines = [colon + part for part in (_three_lines(data) if dialect.multi_line else (data,))]
    if dialect.fields:
        lines = [b"event: message", b"id: %d" % number, *lines, b"retry: 3000"]
    if dialect.comments:
        lines.insert(0, b": this is a comment")
    end = _ENDS[dialect.line_end]
    mark = BYTE_ORDER_MARK if dialect.bom and number == 0 else b""
    return mark + end.join(lines) + end + end


def comment_bytes(dialect: SseFault | None) -> bytes:
    """A comment that keeps a connection alive, as OpenRouter and others send them."""
    end = _ENDS[dialect.line_end if dialect else "lf"]
    return b": keep-alive" + end + end


def _three_lines(data: bytes) -> tuple[bytes, ...]:
    """A JSON object cut where line ends may stand in it; anything else whole."""
    if data.startswith(b"{") and data.endswith(b"}"):
        return (data[:1], data[1:-1], data[-1:])
    return (data,)
