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
        self._h11 = h11.Connection(h11.SERVER)
        host, port = (writer.get_extra_info("peername") or ("unknown", 0))[:2]
        self.client = f"{host}:{port}"
        self.status = 0  # of the latest answer; 0 while none was sent

    async def next_request(self) -> HttpRequest | None:
        """The next whole request; None when one side is done or the client does not speak HTTP."""
        self.status = 0
        if self._h11.our_state is h11.MUST_CLOSE:
            return None
        try:
            if self._h11.our_state is h11.DONE:
                self._h11.start_next_cycle()
            return await self._read_request()
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
        extra = [("content-length", str(len(body))), *headers]
        if content_type:
            extra.append(("content-type", content_type))
        self._start(status, extra)
        if body:
            self._send(h11.Data(data=body))
        self._send(h11.EndOfMessage())
        await self._writer.drain()

    async def respond_json(self, status: int, value: object, headers: Headers = ()) -> None:
        """A whole answer in JSON, as compact as vLLM's and with non-ASCII text left as it is."""
        await self.respond(status, msgspec.json.encode(value), "application/json", headers)

    async def start_events(self) -> None:
        """Begin an event stream; the head leaves at once, as vLLM's does, long before the first token."""
        self._start(200, [("content-type", "text/event-stream; charset=utf-8")])
        await self._writer.drain()

    async def send_event(self, data: bytes) -> None:
        """One server-sent event."""
        self._send(h11.Data(data=b"data: " + data + b"\n\n"))
        await self._writer.drain()

    async def end_events(self) -> None:
        """End the stream's HTTP body properly."""
        self._send(h11.EndOfMessage())
        await self._writer.drain()

    async def respond_in_part(self) -> None:
        """The beginning of a JSON answer that promises more bytes than it gets."""
        self._start(200, [("content-length", "4096"), ("content-type", "application/json")])
        self._send(h11.Data(data=b'{"id":"cut-'))
        await self._writer.drain()

    async def send_not_http(self) -> None:
        """Bytes that no HTTP client can read, in place of an answer."""
        self._writer.write(NOT_HTTP)
        await self._writer.drain()

    async def reset(self) -> None:
        """Close with a TCP reset, after what was sent so far has left."""
        await self._writer.drain()
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

    def _start(self, status: int, headers: Headers) -> None:
        self.status = status
        always = (("date", formatdate(usegmt=True)), ("server", "uvicorn"))
        self._send(
            h11.Response(
                status_code=status, headers=[*always, *headers], reason=HTTPStatus(status).phrase.encode()
            )
        )

    def _send(self, event: h11.Event) -> None:
        data = self._h11.send(event)
        if data:
            self._writer.write(data)
