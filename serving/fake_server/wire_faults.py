"""Faults of the connection: how the bytes travel, and how they cease to."""

from __future__ import annotations

from typing import Literal

from serving.fake_server.fault_rule import FaultRule


class GarbageFault(FaultRule, frozen=True, tag="garbage"):
    """Bytes that are not the protocol: instead of HTTP, or as one stream event that is not JSON."""

    where: Literal["http", "event"] = "http"
    after_chunks: int = 1


class TruncateFault(FaultRule, frozen=True, tag="truncate"):
    """Close after n chunks, without `[DONE]`; `ends_body` closes the HTTP body properly all the same.

    `before_head` closes before the answer's first byte instead.
    """

    after_chunks: int = 1
    ends_body: bool = False
    before_head: bool = False


class ResetFault(FaultRule, frozen=True, tag="reset"):
    """Reset the TCP connection after n chunks (0: after the head), or with `before_head` before any byte."""

    after_chunks: int = 1
    before_head: bool = False


class HalfCloseFault(FaultRule, frozen=True, tag="half_close"):
    """End the server's side of the connection after n chunks, and go on reading until the client closes its own."""

    after_chunks: int = 1


class CloseIdleFault(FaultRule, frozen=True, tag="close_idle"):
    """Answer well, then close the connection `after_s` seconds later, without having said so in the answer."""

    after_s: float = 0.0


class FragmentFault(FaultRule, frozen=True, tag="fragment"):
    """Write the whole answer, head and framing included, in pieces of these sizes, over and over.

    Pieces end anywhere: inside a character, a chunk's length, a header. `pause_s` lies between two of them: with
    1 byte and a second, the answer drips.
    """

    sizes: tuple[int, ...] = (1,)
    pause_s: float = 0.0


class GlueFault(FaultRule, frozen=True, tag="glue"):
    """Hold events back and write so many at once; what is left over leaves together with the answer's end.

    Each is an HTTP chunk of its own, or all are one with `in_one_chunk`. `with_head` holds the head back, too.
    """

    events: int = 3
    in_one_chunk: bool = False
    with_head: bool = False


class FramingFault(FaultRule, frozen=True, tag="framing"):
    """Frame the answer's body in another way that HTTP allows.

    `length`: the whole stream at once behind a content-length. `close`: no length at all, the end of the
    connection is the end of the body (with `http_1_0` as HTTP/1.0 says it). `chunked`: in chunks of at most
    `chunk_bytes` wherever events end, with a chunk extension, or with trailers after the last.
    `says_close` adds `Connection: close`, and closes. `content_type` replaces the stream's.
    """

    body: Literal["chunked", "length", "close"] = "chunked"
    http_1_0: bool = False
    chunk_bytes: int | None = None
    chunk_extension: bool = False
    trailers: bool = False
    says_close: bool = False
    content_type: str | None = None


class InterimFault(FaultRule, frozen=True, tag="interim"):
    """Send these 1xx answers before the answer, `pause_s` seconds after each."""

    statuses: tuple[int, ...] = (100, 103)
    pause_s: float = 0.0
