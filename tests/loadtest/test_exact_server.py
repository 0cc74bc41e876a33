"""The server that clients are measured against: its own account of itself, and scripted faults seen by our client."""

import http.client
import json
import shutil
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from accounting import metric_names as names
from accounting.errors import MachineError
from accounting.records import Outcome, Phase, RequestRecord
from loadtest.exact_server import ExactServer, Written, compiled_server, scripted_model
from loadtest.load_spec_examples import load_spec
from loadtest.request_body import request_body
from loadtest.streaming_client import Send, StreamingClient
from loadtest.workloads import Message, Prompt, Split
from tests.accounting import latency_of_one

TTFT_S, INTERVAL_S = 0.04, 0.01
PROMPT = Prompt("p", "chat", "t", Split.MEASURED, (Message("user", 'Say "max_tokens": 7, please.'),))

pytestmark = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("cc", "gcc", "clang")), reason="no C compiler"
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exact-server")


@pytest.fixture(scope="module")
def server(cache: Path) -> Iterator[ExactServer]:
    with ExactServer(cache, ttft_ms=TTFT_S * 1e3, interval_ms=INTERVAL_S * 1e3) as running:
        yield running


def measured(url: str, *steps: str, tokens: int = 12, timeout_s: float = 30.0) -> RequestRecord:
    body = request_body(load_spec(model=scripted_model(*steps)), PROMPT, max_tokens=tokens, exactly=True)
    records: list[RequestRecord] = []
    with closing(StreamingClient(url, timeout_s=timeout_s)) as client:
        client.run(Send("1", Phase.MEASURED, 0, "chat", "p", "t", 0, time.monotonic(), body), records.append)
    return records[0]


def due_s(written: Written, *, pause_at: int = 10**9, pause_s: float = 0.0) -> list[float]:
    return [
        written.received_s + TTFT_S + (token - 1) * INTERVAL_S + (pause_s if token >= pause_at else 0)
        for token in written.tokens
    ]


def assert_seen_as_written(record: RequestRecord, written: Written) -> None:
    """Every stamp that is not censored is the server's own instant, within a millisecond in the median."""
    assert list(record.chunks.tokens) == list(written.tokens)
    errors = [
        abs(seen - sent)
        for seen, sent, censored in zip(
            record.chunks.at_s, written.written_s, record.chunks.censored, strict=True
        )
        if not censored
    ]
    assert statistics.median(errors) < 0.001


def post(url: str, body: dict[str, Any], path: str = "/v1/chat/completions") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    with closing(connection):
        connection.request("POST", path, json.dumps(body))
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_tokens_are_never_early_and_lateness_does_not_add_up(server: ExactServer) -> None:
    record = measured(server.url, tokens=100)
    written = server.written()[-1]
    late_s = [at - due for at, due in zip(written.written_s, due_s(written), strict=True)]
    assert record.ok, record.error
    assert written.tokens == tuple(range(1, 101))
    assert min(late_s) >= -1e-6
    assert min(late_s[-20:]) < INTERVAL_S / 2, "one that adds up would be late everywhere at the end"


def test_our_client_sees_an_unscripted_answer_as_the_server_wrote_it(server: ExactServer) -> None:
    record = measured(server.url)
    written = server.written()[-1]
    assert_seen_as_written(record, written)
    ttft = latency_of_one.ttft_s(record)
    assert ttft is not None
    assert ttft >= TTFT_S


def test_a_late_token_is_measured_and_what_was_due_meanwhile_comes_with_it(server: ExactServer) -> None:
    record = measured(server.url, "late=5:700", tokens=8)
    written = server.written()[-1]
    gaps = [after - before for before, after in zip(written.written_s, written.written_s[1:], strict=False)]
    assert_seen_as_written(record, written)
    assert gaps[3] >= 0.7
    assert record.chunks.at_s[4] - record.chunks.at_s[3] == pytest.approx(gaps[3], abs=0.02)
    assert sum(gaps[4:]) < 0.35, "tokens 6 to 8 were due while token 5 was late"


def test_a_pause_moves_everything_after_it(server: ExactServer) -> None:
    record = measured(server.url, "pause=3:300", tokens=6)
    written = server.written()[-1]
    assert_seen_as_written(record, written)
    assert all(
        at >= due - 1e-6
        for at, due in zip(written.written_s, due_s(written, pause_at=3, pause_s=0.3), strict=True)
    )


def test_three_tokens_in_one_chunk_are_one_event_with_three_tokens(server: ExactServer) -> None:
    record = measured(server.url, "chunk=4:3", tokens=9)
    assert list(record.chunks.tokens) == [1, 2, 3, 6, 7, 8, 9]
    assert_seen_as_written(record, server.written()[-1])
    assert record.completion_tokens == 9


def test_events_in_one_write_are_censored_but_for_the_last(server: ExactServer) -> None:
    record = measured(server.url, "write=4:3", tokens=9)
    assert list(record.chunks.tokens) == list(range(1, 10))
    assert list(record.chunks.censored[3:5]) == [True, True]
    assert_seen_as_written(record, server.written()[-1])


def test_a_stalled_stream_stays_open_until_the_client_gives_up(server: ExactServer) -> None:
    before = server.lateness()
    record = measured(server.url, "stall=2", timeout_s=1.0)
    assert record.outcome is Outcome.TIMEOUT
    assert list(record.chunks.tokens) == [1, 2]
    assert server.written()[-1].tokens == (1, 2)
    after = server.lateness()
    assert (after.aborted - before.aborted, after.answers - before.answers) == (1, 0)


def test_the_server_counts_itself_and_counts_anew_after_a_reset(server: ExactServer) -> None:
    server.reset_lateness()
    for _ in range(2):
        assert measured(server.url, tokens=5).ok
    counted = server.reset_lateness()
    assert (counted.requests, counted.answers, counted.tokens, counted.unstamped_requests) == (2, 2, 10, 0)
    assert (counted.first_token_lateness_ms.count, counted.token_lateness_ms.count) == (2, 8)
    late = counted.token_lateness_ms
    assert late.p50 is not None
    assert late.p99 is not None
    assert late.max is not None
    assert 0 <= late.p50 <= late.p99 <= late.max
    assert server.lateness().tokens == 0
    assert server.lateness().token_lateness_ms.p99 is None


def test_later_events_carry_several_tokens_when_told_so(cache: Path) -> None:
    with ExactServer(cache, ttft_ms=1, interval_ms=1, tokens_per_chunk=4) as server:
        record = measured(server.url, tokens=11)
    assert list(record.chunks.tokens) == [1, 5, 9, 11]


def test_a_slow_reader_gets_every_byte(cache: Path) -> None:
    with ExactServer(cache, ttft_ms=0, interval_ms=0, tokens_per_chunk=2000) as server:
        body = json.dumps(
            {"max_tokens": 2_000_001, "stream": True, "stream_options": {"include_usage": True}}
        )
        with socket.create_connection(("127.0.0.1", int(server.url.rsplit(":")[-1]))) as peer:
            head = (
                f"POST /v1/completions HTTP/1.1\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            peer.sendall((head + body).encode())
            deadline_s = time.monotonic() + 20
            while server.lateness().blocked_writes == 0 and time.monotonic() < deadline_s:
                time.sleep(0.05)
            received = b"".join(iter(lambda: peer.recv(1 << 20), b""))
        assert server.lateness().blocked_writes > 0
    assert received.count(b" one") == 2_000_001
    assert received.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def test_it_answers_whole_and_plain_completions_too(server: ExactServer) -> None:
    status, whole = post(server.url, {"model": "m", "max_tokens": 3})
    assert status == 200
    assert json.loads(whole)["choices"][0]["message"]["content"] == " one one one"
    assert json.loads(whole)["usage"]["completion_tokens"] == 3
    _, stream = post(server.url, {"max_completion_tokens": 2, "stream": True}, "/v1/completions")
    assert stream.count(b'"text":" one"') == 2
    assert b"usage" not in stream
    assert b"assistant" not in stream


def test_a_wrong_script_and_an_unknown_path_are_refused(server: ExactServer) -> None:
    status, said = post(server.url, {"model": "m", "kilotoken_script": "later=5"})
    assert status == 400
    assert b"late=K:MS" in said
    assert post(server.url, {}, "/v1/embeddings")[0] == 404


def test_it_states_the_counters_that_a_cell_is_reconciled_with(cache: Path) -> None:
    with ExactServer(cache, ttft_ms=1, interval_ms=1) as server:
        records = [measured(server.url, *steps, tokens=9) for steps in ((), ("chunk=2:4",), ("write=2:4",))]
        server.reset_lateness()
        page = post(server.url, {}, "/metrics")[1].decode()
    counted = {name: int(value) for name, value in (line.split() for line in page.splitlines())}
    assert counted[names.GENERATION_TOKENS] == 27
    assert counted[names.PROMPT_TOKENS] == sum(record.prompt_tokens or 0 for record in records)
    assert counted[names.FIRST_TOKENS] == 3
    assert counted[names.DECODE_STEPS] == 8 + 5 + 8


def test_without_a_compiler_the_message_names_one(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no C compiler") as caught:
        compiled_server(tmp_path, {"PATH": str(tmp_path)})
    assert "gcc" in caught.value.hint
    with pytest.raises(MachineError, match="cannot compile"):
        compiled_server(tmp_path, {"PATH": "/bin:/usr/bin", "CC": "false"})


def test_it_is_compiled_once(cache: Path, server: ExactServer) -> None:
    made = compiled_server(cache, {"PATH": ""})
    assert made.parent == cache
    assert [path.name for path in cache.iterdir()] == [made.name]


def test_leaving_the_context_ends_it(cache: Path) -> None:
    with ExactServer(cache) as server:
        pid = server.pid
    assert not Path(f"/proc/{pid}").exists()
