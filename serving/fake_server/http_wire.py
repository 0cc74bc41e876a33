"""HTTP/1.1 over one connection: requests in, answers and streams out, and the ways to break it off."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

import h11
import msgspec

from serving.fake_server.byte_output import ByteOutput
from serving.fake_server.sse_dialect import comment_bytes, event_bytes
from serving.fake_server.wire_manner import AS_VLLM, WireManner

_READ_BYTES = 65536
_MAX_BODY_BYTES = 64 * 1024 * 1024
_LINGER_NOTHING = struct.pack("ii", 1, 0)  # SO_LINGER on with 0 s: closing resets the connection
NOT_HTTP = b"\x16\x03\x01 these bytes are not HTTP \xff\xfe\r\n\r\n"

Headers = Iterable[tuple[str, str]]


class ConnectionCutError(Exception):
    """The connection was broken off on purpose; nothing more can be sent on it."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request; header names are lower case, `path` is without the query."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class HttpConnection:
    """One client's connection, kept alive over as many requests as the client likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._output = ByteOutput(writer)
        self._h11 = h11.Connection(h11.SERVER)
        self._manner = AS_VLLM
        self._events = 0
        self._glued: list[bytes] = []  # events that wait for others, or for the length of all
        host, port = (writer.get_extra_info("peername") or ("unknown", 0))[:2]
        self.client = f"{host}:{port}"
        self.status = 0  # of the latest answer; 0 while none was sent

    def answer_as(self, manner: WireManner) -> None:
        """Write the answer to the request in hand in this manner."""
        self._manner = manner
        self._output.cut_as(manner.fragment)

    async def next_request(self) -> HttpRequest | None:
        """The next whole request; None when one side is done or the client does not speak HTTP."""
        self.status = 0
        self._events = 0
        if self._h11.our_state is h11.MUST_CLOSE:
            return None
        idle, self._manner = self._manner.close_idle, AS_VLLM
        self._output.cut_as(None)
        try:
            if self._h11.our_state is h11.DONE:
                self._h11.start_next_cycle()
            return await asyncio.wait_for(self._read_request(), idle.after_s if idle else None)
        except TimeoutError:
            return None
        except h11.RemoteProtocolError:
            if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                await self.respond(400, b"Invalid HTTP request received.", "text/plain; charset=utf-8")
            return None

    async def _read_request(self) -> HttpRequest | None:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._h11.next_event()
            if event is h11.NEED_DATA:
                if self._h11.they_are_waiting_for_100_continue:
                    self._send(h11.InformationalResponse(status_code=100, headers=[]))
                    await self._output.leave()
                self._h11.receive_data(await self._reader.read(_READ_BYTES))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > _MAX_BODY_BYTES:
                    raise h11.RemoteProtocolError("body too large", error_status_hint=413)
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                path, _, query = head.target.decode("latin-1").partition("?")
                headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
                return HttpRequest(head.method.decode(), path, query, headers, bytes(body))
            else:
                return None

    async def wait_for_hangup(self) -> None:
        """Return when the client closes or resets; what it sends meanwhile is kept for later."""
        try:
            while data := await self._reader.read(_READ_BYTES):
                self._h11.receive_data(data)
        except ConnectionError:
            return

    async def respond(self, status: int, body: bytes, content_type: str, headers: Headers = ()) -> None:
        """A whole answer."""
        extra = [("content-length", str(len(body)))] if self._manner.framing.body != "close" else []
        extra += headers
        if content_type:
            extra.append(("content-type", content_type))
        await self._start(status, extra)
        if body:
            self._send(h11.Data(data=body))
        self._send(h11.EndOfMessage())
        await self._output.leave()

    async def respond_json(self, status: int, value: object, headers: Headers = ()) -> None:
        """A whole answer in JSON, as compact as vLLM's and with non-ASCII text left as it is."""
        await self.respond(status, msgspec.json.encode(value), "application/json", headers)

    async def start_events(self) -> None:
        """Begin an event stream; the head leaves at once, as vLLM's does, long before the first token."""
        if self._manner.framing.body == "length":
            return  # the length is not known yet
        await self._start(200, [("content-type", self._stream_type)])
        if self._manner.glue is None or not self._manner.glue.with_head:
            await self._output.leave()

    async def send_event(self, data: bytes) -> None:
        """One server-sent event."""
        if self._manner is AS_VLLM:  # nearly always, and at thousands of events a second
            self._output.add(self._h11.send(h11.Data(data=event_bytes(data, 0, None))) or b"")
            await self._output.leave()
            return
        self._glued.append(event_bytes(data, self._events, self._manner.sse))
        self._events += 1
        framing, glue = self._manner.framing, self._manner.glue
        if framing.body == "length" or (glue is not None and len(self._glued) < glue.events):
            return
        self._add_glued()
        await self._output.leave()

    async def send_comment(self) -> None:
        """A comment, by itself."""
        await self.send_stream_bytes(comment_bytes(self._manner.sse))

    async def send_stream_bytes(self, data: bytes) -> None:
        """Bytes of the stream's body that need not be events."""
        if self._manner.framing.body == "length":
            self._glued.append(data)
            return
        self._add_glued()
        self._add_data(data)
        await self._output.leave()

    async def end_events(self) -> None:
        """End the stream's HTTP body properly."""
        if self._manner.framing.body == "length":
            body, self._glued = b"".join(self._glued), []
            await self.respond(200, body, self._stream_type)
            return
        self._add_glued()
        trailers = (
            [("x-checksum", "none"), ("server-timing", "total")] if self._manner.framing.trailers else []
        )
        self._send(h11.EndOfMessage(headers=trailers if self._chunked else []))
        await self._output.leave()

    async def respond_in_part(self) -> None:
        """The beginning of a JSON answer that promises more bytes than it gets."""
        await self._start(200, [("content-length", "4096"), ("content-type", "application/json")])
        self._send(h11.Data(data=b'{"id":"cut-'))
        await self._output.leave()

    async def send_not_http(self) -> None:
        """Bytes that no HTTP client can read, in place of an answer."""
        self._output.add(NOT_HTTP)
        await self._output.leave()

    async def let_events_leave(self) -> None:
        """Send the events that wait for others: nothing more will come."""
        self._add_glued()
        await self._output.leave()

    async def end_our_side(self) -> None:
        """End the server's side of the connection; the client's stays open."""
        await self.let_events_leave()
        self._writer.write_eof()

    async def reset(self) -> None:
        """Close with a TCP reset, after what was sent so far has left."""
        await self.let_events_leave()
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOTHING)
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close, sending first what is still buffered."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return

    @property
    def _stream_type(self) -> str:
        return self._manner.framing.content_type or "text/event-stream; charset=utf-8"

    @property
    def _chunked(self) -> bool:
        return self._manner.framing.body == "chunked" and self._h11.their_http_version != b"1.0"

    async def _start(self, status: int, headers: Headers) -> None:
        """The answer's head, held; the interim answers before it leave."""
        if self._manner.interim is not None:
            for code in self._manner.interim.statuses:
                hints = [("link", "</style.css>; rel=preload")] if code == 103 else []
                self._send(h11.InformationalResponse(status_code=code, headers=hints))
                await self._output.leave()
                await asyncio.sleep(self._manner.interim.pause_s)
        self.status = status
        framing = self._manner.framing
        always = [("date", formatdate(usegmt=True)), ("server", "uvicorn")]
        if framing.says_close:
            always.append(("connection", "close"))
        if framing.body == "close":
            # h11 then leaves the body to end with the connection, as for a client of HTTP/1.0.
            self._h11.their_http_version = b"1.0"
        reason = HTTPStatus(status).phrase.encode()
        self._send(h11.Response(status_code=status, headers=[*always, *headers], reason=reason))

    def _add_glued(self) -> None:
        """Put the events that wait into the body, each as a piece of its own or all as one."""
        glued, self._glued = self._glued, []
        if self._manner.glue is not None and self._manner.glue.in_one_chunk:
            glued = [b"".join(glued)]
        for event in filter(None, glued):
            self._add_data(event)

    def _add_data(self, data: bytes) -> None:
        size = self._manner.framing.chunk_bytes or len(data)
        for begin in range(0, len(data), size):
            self._send(h11.Data(data=data[begin : begin + size]))

    def _send(self, event: h11.Event) -> None:
        """Hold what h11 makes of it."""
        data = self._h11.send(event) or b""
        framing = self._manner.framing
        if framing.http_1_0 and isinstance(event, h11.Response):
            data = data.replace(b"HTTP/1.1", b"HTTP/1.0", 1)
        if framing.chunk_extension and self._chunked and isinstance(event, h11.Data):
            data = data.replace(b"\r\n", b';note="an extension"\r\n', 1)
        self._output.add(data)
