"""How faulty answers travel, read from a bare socket: the bytes, the framing, the ends of the connection."""

import gzip
import json
import socket
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

import h11
import pytest

from serving.fake_server import FakeServerConfig, RunningFakeServer, Timing, parse_fault_script

STREAM = {
    "prompt": "a b c", "max_tokens": 6, "ignore_eos": True, "stream": True,
    "stream_options": {"include_usage": True, "continuous_usage_stats": True},
}  # fmt: skip


def faulty(*rules: dict[str, object], tpot_s: float = 0.0, seed: int = 0) -> RunningFakeServer:
    return RunningFakeServer(
        FakeServerConfig(
            timing=Timing(ttft_s=0, tpot_s=tpot_s), faults=parse_fault_script(list(rules)), seed=seed
        )
    )


@dataclass
class Heard:
    """What one answer was on the wire."""

    interim: list[int] = field(default_factory=list)
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)  # pieces of the body as HTTP framed them
    trailers: dict[str, str] = field(default_factory=dict)
    whole: bool = False
    raw: bytes = b""
    reads: int = 0

    def take(self, event: object) -> None:
        """Note one event of the answer."""
        if isinstance(event, h11.InformationalResponse):
            self.interim.append(event.status_code)
        elif isinstance(event, h11.Response):
            self.status = event.status_code
            self.headers = {name.decode(): value.decode() for name, value in event.headers}
        elif isinstance(event, h11.Data):
            if event.chunk_start or not self.chunks:
                self.chunks.append(b"")
            self.chunks[-1] += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            self.trailers = {name.decode(): value.decode() for name, value in event.headers}
            self.whole = True

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def events(self) -> list[str]:
        return [part.removeprefix("data: ") for part in self.body.decode().split("\n\n")[:-1]]


def connect(server: RunningFakeServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=5)


def ask(sock: socket.socket, *, may_break_off: bool = False) -> Heard:
    """Send a request and read until its answer is whole, or the connection ends where that is legal or allowed."""
    wire, heard = h11.Connection(h11.CLIENT), Heard()
    data = json.dumps(STREAM).encode()
    headers = [("host", "x"), ("content-length", str(len(data)))]
    head = wire.send(h11.Request(method="POST", target="/v1/completions", headers=headers))
    sock.sendall(head + wire.send(h11.Data(data=data)) + wire.send(h11.EndOfMessage()))
    while not heard.whole:
        try:
            event = wire.next_event()
        except h11.RemoteProtocolError:
            if may_break_off:
                return heard
            raise
        if event is h11.NEED_DATA:
            received = sock.recv(65536)
            heard.raw += received
            heard.reads += 1
            wire.receive_data(received)
        else:
            heard.take(event)
    return heard


@pytest.fixture(scope="module")
def usual() -> list[str]:
    """The events without any fault."""
    with faulty() as server, connect(server) as sock:
        return untimed(ask(sock).events)


def untimed(events: list[str]) -> list[str]:
    """Events without the names that differ from request to request."""
    kept = [json.loads(event) if event.startswith("{") else event for event in events]
    return [
        json.dumps(event | {"id": "", "created": 0}) if isinstance(event, dict) else event for event in kept
    ]


def test_fragments_end_anywhere_and_lose_nothing(usual: list[str]) -> None:
    with faulty({"kind": "fragment", "sizes": [1, 2, 5], "pause_s": 0.0005, "on_request": 1}) as server, \
            connect(server) as sock:  # fmt: skip
        heard = ask(sock)
        after = ask(sock)
    assert untimed(heard.events) == usual
    assert heard.reads > len(heard.raw) / 5.5  # a read now and then takes two pieces
    assert after.reads < heard.reads / 4


def test_one_byte_at_a_time_drips() -> None:
    with faulty({"kind": "fragment", "pause_s": 0.01}) as server, connect(server) as sock:
        sock.sendall(b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n")
        assert len(sock.recv(100)) > 50  # other paths are whole
    with faulty({"kind": "fragment", "pause_s": 0.05}) as server, connect(server) as sock:
        body = json.dumps(STREAM).encode()
        sock.sendall(
            b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        )
        began_s, received = time.monotonic(), b""
        while len(received) < 6:
            received += sock.recv(100)
        assert time.monotonic() - began_s >= 0.2
        assert received.startswith(b"HTTP/1")


@pytest.mark.parametrize("in_one_chunk", [False, True])
def test_glued_events_come_in_one_read(usual: list[str], in_one_chunk: bool) -> None:
    rule = {"kind": "glue", "events": 5, "in_one_chunk": in_one_chunk}
    with faulty(rule, tpot_s=0.02) as server, connect(server) as sock:
        heard = ask(sock)
    assert untimed(heard.events) == usual
    assert [chunk.count(b"data: ") for chunk in heard.chunks] == ([5, 3] if in_one_chunk else [1] * 8)
    assert heard.reads <= 3  # the head, five events, three events and the end


def test_head_and_events_glued_are_one_write(usual: list[str]) -> None:
    with (
        faulty({"kind": "glue", "events": 99, "with_head": True}, tpot_s=0.01) as server,
        connect(server) as sock,
    ):
        heard = ask(sock)
    assert heard.reads == 1
    assert untimed(heard.events) == usual


def test_glued_events_leave_before_a_cut() -> None:
    for ends_body in (False, True):
        cut = {"kind": "truncate", "after_chunks": 2, "ends_body": ends_body}
        with faulty({"kind": "glue"}, cut) as server, connect(server) as sock:
            heard = ask(sock, may_break_off=True)
        assert (len(heard.events), heard.whole) == (2, ends_body)


def test_small_chunks_with_extensions_and_trailers(usual: list[str]) -> None:
    rule = {"kind": "framing", "chunk_bytes": 7, "chunk_extension": True, "trailers": True}
    with faulty(rule) as server, connect(server) as sock:
        heard = ask(sock)
        assert ask(sock).whole
    assert untimed(heard.events) == usual
    assert max(map(len, heard.chunks)) == 7
    assert b'\r\n7;note="an extension"\r\n' in heard.raw
    assert heard.trailers == {"x-checksum": "none", "server-timing": "total"}


def test_a_stream_with_a_length(usual: list[str]) -> None:
    with faulty({"kind": "framing", "body": "length"}) as server, connect(server) as sock:
        heard = ask(sock)
        assert ask(sock).whole
    assert heard.headers["content-length"] == str(len(heard.body))
    assert heard.headers["content-type"].startswith("text/event-stream")
    assert "transfer-encoding" not in heard.headers
    assert untimed(heard.events) == usual


@pytest.mark.parametrize("http_1_0", [False, True])
def test_a_stream_that_ends_with_its_connection(usual: list[str], http_1_0: bool) -> None:
    rule = {"kind": "framing", "body": "close", "http_1_0": http_1_0}
    with faulty(rule) as server, connect(server) as sock:
        heard = ask(sock)
        assert sock.recv(1) == b""
    assert heard.raw.startswith(b"HTTP/1.0 200" if http_1_0 else b"HTTP/1.1 200")
    assert not {"content-length", "transfer-encoding"} & set(heard.headers)
    assert untimed(heard.events) == usual


def test_connection_close_is_said_and_done() -> None:
    with faulty({"kind": "framing", "says_close": True}) as server, connect(server) as sock:
        heard = ask(sock)
        assert heard.headers["connection"] == "close"
        assert heard.headers["transfer-encoding"] == "chunked"
        assert sock.recv(1) == b""


def test_another_content_type() -> None:
    with faulty({"kind": "framing", "content_type": "text/plain"}) as server, connect(server) as sock:
        assert ask(sock).headers["content-type"] == "text/plain"


def test_interim_answers_come_first(usual: list[str]) -> None:
    with faulty({"kind": "interim", "statuses": [100, 102, 103, 103]}) as server, connect(server) as sock:
        heard = ask(sock)
        assert ask(sock).interim == heard.interim
    assert heard.interim == [100, 102, 103, 103]
    assert untimed(heard.events) == usual


def test_closed_between_requests_after_a_good_answer() -> None:
    with faulty({"kind": "close_idle", "after_s": 0.1, "on_request": 2}) as server, connect(server) as sock:
        assert ask(sock).whole
        heard = ask(sock)
        assert heard.whole
        assert "connection" not in heard.headers
        began_s = time.monotonic()
        assert sock.recv(1) == b""
        assert time.monotonic() - began_s >= 0.05


def test_closed_at_once_after_a_good_answer() -> None:
    with faulty({"kind": "close_idle"}) as server, connect(server) as sock:
        assert ask(sock).whole
        assert sock.recv(1) == b""


def test_half_closed_the_server_has_ended_but_still_reads() -> None:
    with faulty({"kind": "half_close", "after_chunks": 2}) as server, connect(server) as sock:
        with pytest.raises(h11.RemoteProtocolError):
            ask(sock)
        assert sock.recv(1) == b""
        for _ in range(20):  # a closed connection would answer the first of these with a reset
            sock.sendall(b"x")
            time.sleep(0.005)


def test_reset_and_close_before_the_first_byte() -> None:
    with faulty({"kind": "reset", "before_head": True}) as server, connect(server) as sock, \
            pytest.raises(ConnectionResetError):  # fmt: skip
        ask(sock)
    with faulty({"kind": "truncate", "before_head": True}) as server, connect(server) as sock, \
            pytest.raises(h11.RemoteProtocolError):  # fmt: skip
        ask(sock)


def test_retry_after_as_a_date() -> None:
    rule = {"kind": "status", "status": 503, "retry_after_s": 90, "retry_after_as": "date"}
    with faulty(rule) as server, connect(server) as sock:
        heard = ask(sock)
    until = parsedate_to_datetime(heard.headers["retry-after"]).timestamp()
    assert heard.status == 503
    assert 80 < until - time.time() < 92


def test_error_bodies_of_proxies() -> None:
    def refused(body: str, status: int) -> Heard:
        with faulty({"kind": "status", "status": status, "body": body}) as server, connect(server) as sock:
            return ask(sock)

    page = refused("html", 502)
    assert page.headers["content-type"] == "text/html"
    assert b"<h1>502 Bad Gateway</h1>" in page.body
    packed = refused("gzip", 500)
    assert packed.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(packed.body))["error"]["code"] == 500
    assert refused("empty", 429).body == b""


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_lead_where_they_are_told(status: int) -> None:
    def location(to: str) -> str:
        with faulty({"kind": "redirect", "status": status, "to": to, "on_request": 1}) as server, \
                connect(server) as sock:  # fmt: skip
            heard = ask(sock)
            assert ask(sock).status == 200
        assert heard.status == status
        return heard.headers["location"]

    assert location("") == "/v1/completions"
    assert location("/v1/chat/completions?x=1") == "/v1/chat/completions?x=1"
    assert location("http://localhost:9") == "http://localhost:9/v1/completions"
    assert location("https://elsewhere/v2") == "https://elsewhere/v2"
