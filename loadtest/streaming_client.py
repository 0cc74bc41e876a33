"""One connection, one request at a time, one record per request whatever happens to it.

Plain sockets, so that the instant at which a read returned is known: every event that came out of one read
carries that stamp, and all but the last of them are marked as interval-censored (they arrived earlier, but
nobody can say when). HTTP framing is h11's. Under Locust the socket module is gevent's; the code is the
same.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import h11
import msgspec

from accounting.records import Chunk, Outcome, Phase, RequestRecord
from loadtest.chat_request import DONE, PATH, Event, decode_event
from loadtest.sse import SseSplitter

READ_BYTES = 65536
ERROR_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Send:
    """Everything that is known of a request before it is sent."""

    request_id: str
    phase: Phase
    stream: int
    workload: str
    prompt_id: str
    template: str
    prompt_repeat: int
    intended_send_s: float
    body: bytes


@dataclass
class _Answer:
    """What has been seen of the answer so far."""

    sent_s: float | None = None
    status: int | None = None
    outcome: Outcome | None = None
    error: str = ""
    error_body: bytes = b""
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    token_ids: int | None = None
    first_text_s: float | None = None
    first_text_censored: bool = False
    done: bool = False
    chunks: list[Chunk] = field(default_factory=list)
    text: hashlib._Hash = field(default_factory=hashlib.sha256)

    def fail(self, outcome: Outcome, error: str) -> None:
        """Keep the first failure: later ones are its consequences."""
        if self.outcome is None:
            self.outcome = outcome
            self.error = error[:ERROR_BYTES]


class StreamingClient:
    """A keep-alive connection to an OpenAI-compatible server."""

    def __init__(
        self,
        base_url: str,
        *,
        timeout_s: float = 300.0,
        api_key: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        parts = urlsplit(base_url)
        self._tls = parts.scheme == "https"
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or (443 if self._tls else 80)
        self._path = parts.path.rstrip("/").removesuffix("/v1") + PATH
        self._timeout_s = timeout_s
        self._clock = clock
        self._headers = [
            ("host", f"{self._host}:{self._port}"),
            ("content-type", "application/json"),
            ("accept", "text/event-stream"),
            *([("authorization", f"Bearer {api_key}")] if api_key else []),
        ]
        self._socket: socket.socket | None = None
        self._protocol = h11.Connection(h11.CLIENT)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def run(self, send: Send, sink: Callable[[RequestRecord], None]) -> RequestRecord:
        """Send one request, read its answer to the end, and hand its record to `sink`, come what may."""
        answer = _Answer()
        try:
            self._exchange(send, answer)
        except TimeoutError:
            answer.fail(Outcome.TIMEOUT, f"no complete answer within {self._timeout_s:g} s")
        except OSError as error:
            answer.fail(Outcome.CONNECTION, str(error) or type(error).__name__)
        except h11.RemoteProtocolError as error:
            answer.fail(*_protocol_failure(answer, error))
        except BaseException:
            answer.fail(Outcome.CANCELLED, "the load was stopped")
            self.close()
            sink(self._record(send, answer))
            raise
        record = self._record(send, answer)
        if not record.ok:
            self.close()
        sink(record)
        return record

    def _exchange(self, send: Send, answer: _Answer) -> None:
        deadline = self._clock() + self._timeout_s
        self._connect()
        assert self._socket is not None
        self._socket.settimeout(self._timeout_s)
        head = h11.Request(
            method="POST",
            target=self._path,
            headers=[*self._headers, ("content-length", str(len(send.body)))],
        )
        request = b"".join(
            self._protocol.send(part) or b"" for part in (head, h11.Data(data=send.body), h11.EndOfMessage())
        )
        answer.sent_s = self._clock()
        self._socket.sendall(request)
        splitter = SseSplitter()
        complete = False
        while not complete:
            remaining = deadline - self._clock()
            if remaining <= 0:
                raise TimeoutError
            self._socket.settimeout(remaining)
            received = self._socket.recv(READ_BYTES)
            at_s = self._clock()
            self._protocol.receive_data(received)
            complete = self._take_read(at_s, splitter, answer)
        self._finish(answer)

    def _connect(self) -> None:
        """Reuse the connection unless the server has closed it meanwhile."""
        if self._socket is not None and self._protocol.our_state is h11.DONE:
            try:
                self._protocol.start_next_cycle()
            except h11.LocalProtocolError:
                self.close()
        if self._socket is not None and _has_ended(self._socket):
            self.close()
        if self._socket is None:
            raw = socket.create_connection((self._host, self._port), timeout=self._timeout_s)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = (
                ssl.create_default_context().wrap_socket(raw, server_hostname=self._host)
                if self._tls
                else raw
            )
            self._protocol = h11.Connection(h11.CLIENT)

    def _take_read(self, at_s: float, splitter: SseSplitter, answer: _Answer) -> bool:
        """Take everything one read delivered. True when the answer is complete."""
        events: list[bytes] = []
        complete = False
        while True:
            event = self._protocol.next_event()
            if event is h11.NEED_DATA:
                break
            if isinstance(event, h11.Response):
                answer.status = event.status_code
            elif isinstance(event, h11.Data):
                if answer.status == 200:
                    events += splitter.feed(bytes(event.data))
                else:
                    answer.error_body += bytes(event.data)[:ERROR_BYTES]
            elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)) or event is h11.PAUSED:
                complete = True
                break
        last = len(events) - 1
        for index, data in enumerate(events):
            take_event(answer, data, at_s, censored=index < last or splitter.pending)
        return complete

    def _finish(self, answer: _Answer) -> None:
        if answer.status is None:
            answer.fail(Outcome.CONNECTION, "the server closed the connection without an answer")
        elif answer.status != 200:
            body = answer.error_body.decode("utf-8", "replace").strip()
            answer.fail(Outcome.HTTP_ERROR, f"HTTP {answer.status}: {body}")
        elif not answer.done:
            answer.fail(Outcome.TRUNCATED, "the stream ended without its [DONE] mark")
        elif answer.completion_tokens is None:
            answer.fail(Outcome.GARBAGE, "the stream carried no usage")

    def _record(self, send: Send, answer: _Answer) -> RequestRecord:
        return RequestRecord(
            request_id=send.request_id,
            phase=send.phase,
            stream=send.stream,
            workload=send.workload,
            prompt_id=send.prompt_id,
            template=send.template,
            prompt_repeat=send.prompt_repeat,
            intended_send_s=send.intended_send_s,
            sent_s=answer.sent_s,
            end_s=self._clock(),
            outcome=answer.outcome or Outcome.OK,
            http_status=answer.status,
            error=answer.error,
            finish_reason=answer.finish_reason,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            token_ids_count=answer.token_ids,
            text_sha256=answer.text.hexdigest(),
            clock="user",
            first_text_s=answer.first_text_s,
            first_text_censored=answer.first_text_censored,
            chunks=tuple(answer.chunks),
        )


def take_event(answer: _Answer, data: bytes, at_s: float, *, censored: bool) -> None:
    """Account for one event: text, tokens, finish, usage, error."""
    if data == DONE:
        answer.done = True
        return
    try:
        event = decode_event(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        answer.fail(Outcome.GARBAGE, f"an event is not the expected JSON ({error}): {data[:200]!r}")
        return
    if event.error is not None:
        answer.fail(Outcome.STREAM_ERROR, msgspec.json.encode(event.error).decode())
        return
    tokens = _take_usage(answer, event)
    text = ""
    for choice in event.choices:
        text += choice.delta.text
        answer.finish_reason = choice.finish_reason or answer.finish_reason
        if choice.token_ids is not None:
            answer.token_ids = (answer.token_ids or 0) + len(choice.token_ids)
    if text:
        answer.text.update(text.encode("utf-8", "surrogatepass"))
        if answer.first_text_s is None:
            answer.first_text_s, answer.first_text_censored = at_s, censored
    known = answer.chunks[-1].tokens if answer.chunks else 0
    carries_tokens = bool(text) or (tokens is not None and tokens > (known or 0))
    if event.choices and carries_tokens:
        answer.chunks.append(Chunk(at_s, tokens, censored))


def _take_usage(answer: _Answer, event: Event) -> int | None:
    if event.usage is None:
        return None
    answer.prompt_tokens = event.usage.prompt_tokens
    answer.completion_tokens = event.usage.completion_tokens
    return event.usage.completion_tokens


def _protocol_failure(answer: _Answer, error: Exception) -> tuple[Outcome, str]:
    if answer.status is None:
        return Outcome.GARBAGE, f"the answer is not HTTP: {error}"
    return Outcome.TRUNCATED, f"the connection closed before the answer was complete: {error}"


def _has_ended(connection: socket.socket) -> bool:
    """Whether an idle connection is readable: then the server closed it (or sent what it should not)."""
    if isinstance(connection, ssl.SSLSocket):
        return False
    connection.setblocking(False)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except (BlockingIOError, InterruptedError):
        return False
    except OSError:
        return True
    return True
