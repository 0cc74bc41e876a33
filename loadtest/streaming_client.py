"""One client, one request at a time, one record per request whatever happens to it.

Every event that came out of one read carries that read's stamp, and all but the last of them are marked as
interval-censored: they arrived after the read before it and no later than the stamp, but nobody can say when.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

from accounting.records import Outcome, Phase, RequestRecord
from loadtest.answer import ERROR_BYTES, Answer
from loadtest.connection import Connection, Origin
from loadtest.http_answer import HttpAnswer, HTTPParseError
from loadtest.receive_clock import KERNEL
from loadtest.request_body import PATHS
from loadtest.sse import SseSplitter

MAX_REDIRECTS = 3
SAME_METHOD_REDIRECTS = (307, 308)  # the others turn a POST into a GET


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
    session: str = ""
    turn: int = 0
    expected_tokens: int | None = None
    keep_text: bool = False


class StreamingClient:
    """A keep-alive connection to an OpenAI-compatible server."""

    def __init__(
        self,
        base_url: str,
        *,
        endpoint: str = "chat",
        timeout_s: float = 300.0,
        api_key: str | None = None,
        worker: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = base_url.rstrip("/").removesuffix("/v1") + PATHS[endpoint]
        self._timeout_s = timeout_s
        self._api_key = api_key
        self._worker = worker
        self._clock = clock
        self._heads: dict[str, bytes] = {}
        self._connection: Connection | None = None
        self.text = ""  # of the last answer, where `keep_text` asked for it

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def run(self, send: Send, sink: Callable[[RequestRecord], None]) -> RequestRecord:
        """Send one request, read its answer to the end, and hand its record to `sink`, come what may."""
        answer = Answer(keep_text=send.keep_text)
        try:
            self._exchange(send, answer)
        except TimeoutError:
            answer.fail(Outcome.TIMEOUT, f"no complete answer within {self._timeout_s:g} s")
        except OSError as error:
            answer.fail(Outcome.CONNECTION, str(error) or type(error).__name__)
        except BaseException:
            answer.fail(Outcome.CANCELLED, "the load was stopped")
            record = self._record(send, answer)
            self.close()
            sink(record)
            raise
        record = self._record(send, answer)
        if not record.ok:
            self.close()
        self.text = answer.content
        sink(record)
        return record

    def _exchange(self, send: Send, answer: Answer) -> None:
        deadline_s = self._clock() + self._timeout_s
        url = self._url
        for _ in range(MAX_REDIRECTS + 1):
            reading = self._ask(url, send, answer, deadline_s)
            if answer.outcome is not None or reading.location is None:
                reading.finish()
                return
            url = urljoin(url, reading.location)
            if not url.startswith(("http://", "https://")):
                break
        answer.fail(Outcome.HTTP_ERROR, f"HTTP {answer.status}: redirected too often, or to {url}")

    def _ask(self, url: str, send: Send, answer: Answer, deadline_s: float) -> _Reading:
        """One request and its answer on the wire."""
        connection = self._connected(Origin.of(urlsplit(url)), deadline_s)
        request = self._head(url) + b"%d\r\n\r\n" % len(send.body) + send.body
        answer.clock = connection.clock
        reading = _Reading(answer, stamped=connection.clock == KERNEL)
        if answer.sent_s is None:
            answer.sent_s = self._clock()
        try:
            connection.send(request, deadline_s - self._clock())
            connection.receive(reading.take, max(deadline_s - self._clock(), 0.001))
        finally:
            reading.release()
        connection.idle_since_s = self._clock()
        if not reading.reusable:
            self.close()
        return reading

    def _connected(self, origin: Origin, deadline_s: float) -> Connection:
        """Reuse the connection unless the server has closed it meanwhile or it leads elsewhere."""
        if self._connection is not None and not (
            self._connection.origin == origin and self._connection.usable
        ):
            self.close()
        if self._connection is None:
            self._connection = Connection(origin, timeout_s=max(deadline_s - self._clock(), 0.001))
        return self._connection

    def _head(self, url: str) -> bytes:
        """The request's head up to the length of its body. The key goes to the origin it was given for only."""
        if url not in self._heads:
            parts = urlsplit(url)
            origin = Origin.of(parts)
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            lines = [
                f"POST {target} HTTP/1.1",
                f"Host: {origin.header}",
                "Content-Type: application/json",
                "Accept: text/event-stream",
                "User-Agent: kilotoken",
            ]
            if self._api_key and origin == Origin.of(urlsplit(self._url)):
                lines.append(f"Authorization: Bearer {self._api_key}")
            self._heads[url] = "\r\n".join([*lines, "Content-Length: "]).encode()
        return self._heads[url]

    def _record(self, send: Send, answer: Answer) -> RequestRecord:
        ok = answer.outcome is None
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
            end_s=answer.last_read_s if ok and answer.last_read_s is not None else self._clock(),
            outcome=answer.outcome or Outcome.OK,
            http_status=answer.status,
            error=answer.error,
            finish_reason=answer.finish_reason,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            token_ids_count=answer.token_ids,
            text_sha256=answer.text_sha256(),
            clock=answer.clock,
            first_text_s=answer.first_text_s,
            first_text_censored=answer.first_text_censored,
            chunks=answer.chunks(),
            worker=self._worker,
            session=send.session,
            turn=send.turn,
            expected_tokens=send.expected_tokens,
            unstamped_reads=answer.unstamped_reads,
            retry_after_s=answer.retry_after_s,
        )


class _Reading:
    """Turns the reads of one HTTP answer into events of the answer."""

    def __init__(self, answer: Answer, *, stamped: bool) -> None:
        self._answer = answer
        self._stamped = stamped
        self._http = HttpAnswer(self._on_head, self._on_body)
        self._splitter = SseSplitter()
        self._events: list[bytes] = []
        self._streams = False
        self._body = b""
        self.location: str | None = None

    def release(self) -> None:
        """Let go of the parser's way back to us: a circle would wait for a garbage collection that does not run."""
        self._http.forget()

    @property
    def reusable(self) -> bool:
        """Whether the connection may carry another request."""
        return self._http.complete and bool(self._http.should_keep_alive())

    def take(self, data: bytes, at_s: float, lag_s: float | None) -> bool:
        """Take everything one read delivered. True when the answer is complete, or can never be."""
        answer = self._answer
        try:
            self._http.feed(data)
        except HTTPParseError as error:
            self._deliver(at_s, lag_s)
            if answer.status is None:
                answer.fail(Outcome.GARBAGE, f"the answer is not HTTP: {error}")
            elif not data:
                answer.fail(Outcome.TRUNCATED, "the connection closed before the answer was complete")
            else:
                answer.fail(Outcome.GARBAGE, f"the answer's framing is broken: {error}")
            return True
        if data:
            answer.last_read_s = at_s
        if self._events:
            self._deliver(at_s, lag_s)
        return self._http.complete or not data

    def _deliver(self, at_s: float, lag_s: float | None) -> None:
        events, self._events = self._events, []
        pending = self._splitter.pending
        if lag_s is None:
            lag_s = math.nan
            if self._stamped:
                self._answer.unstamped_reads += 1
                pending = True
        for data in events[:-1]:
            self._answer.take(data, at_s, lag_s, True)
        if events:
            self._answer.take(events[-1], at_s, lag_s, pending)

    def _on_head(self, http: HttpAnswer) -> None:
        self._answer.status = http.status
        if http.status in SAME_METHOD_REDIRECTS:
            self.location = http.headers.get("location")
        self._streams = http.status == 200 and "text/event-stream" in http.headers.get("content-type", "")

    def _on_body(self, data: bytearray) -> None:
        if self._streams:
            self._events += self._splitter.feed(bytes(data))
        elif len(self._body) < ERROR_BYTES:
            self._body += data[:ERROR_BYTES]

    def finish(self) -> None:
        """Say what is wrong with an answer that has ended, if anything is."""
        answer, status = self._answer, self._answer.status
        if answer.outcome is not None:
            return
        said = self._body.decode("utf-8", "replace").strip()
        if status is None:
            answer.fail(Outcome.CONNECTION, "the server closed the connection without an answer")
        elif status != 200:
            answer.retry_after_s = _retry_after_s(self._http.headers.get("retry-after"))
            to = self._http.headers.get("location")
            elsewhere = f" (redirected to {to}: give that address)" if to and 300 <= status < 400 else ""
            answer.fail(Outcome.HTTP_ERROR, f"HTTP {status}{elsewhere}: {said}")
        elif not self._http.complete:
            answer.fail(Outcome.TRUNCATED, "the connection closed before the answer was complete")
        elif not self._streams:
            kind = self._http.headers.get("content-type", "no content type")
            answer.fail(Outcome.GARBAGE, f"the answer is no event stream but {kind}: {said[:200]}")
        elif not answer.done:
            answer.fail(Outcome.TRUNCATED, "the stream ended without its [DONE] mark")
        elif answer.completion_tokens is None:
            answer.fail(Outcome.GARBAGE, "the stream carried no usage")


def _retry_after_s(header: str | None) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
