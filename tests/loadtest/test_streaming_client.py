import gc
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import gevent
import pytest

from accounting.records import Outcome, Phase, RequestRecord
from loadtest.load_spec_examples import load_spec
from loadtest.request_body import request_body
from loadtest.streaming_client import Send, StreamingClient
from loadtest.workloads import Message, Prompt, Split
from serving.fake_server import FakeServerConfig, RunningFakeServer, Timing, parse_fault_script
from tests.accounting import latency_of_one

PROMPT = Prompt("chat-1", "chat", "t", Split.MEASURED, (Message("user", "Tell me about canals, please."),))


def ask(client: StreamingClient, *, model: str = "fake-model", token_ids: bool = True) -> RequestRecord:
    spec = load_spec(model=model)
    body = request_body(spec, PROMPT, max_tokens=24, exactly=True, return_token_ids=token_ids)
    kept: list[RequestRecord] = []
    send = Send("000001", Phase.MEASURED, 0, "chat", PROMPT.prompt_id, "t", 0, time.monotonic(), body)
    record = client.run(send, kept.append)
    assert kept == [record], "exactly one record per request"
    return record


def ask_once(url: str, **options: Any) -> RequestRecord:
    api_key = options.pop("api_key", None)
    with closing(StreamingClient(url, api_key=api_key)) as client:
        return ask(client, **options)


@pytest.mark.parametrize("tokens_per_chunk", [1, 3, (1, 4, 2)])
def test_an_answer_is_counted_by_usage_and_ids_whatever_the_chunks_carry(
    tokens_per_chunk: int | tuple[int, ...],
) -> None:
    config = FakeServerConfig(timing=Timing(ttft_s=0.05, tpot_s=0.01, tokens_per_chunk=tokens_per_chunk))
    with RunningFakeServer(config) as server:
        record = ask_once(server.url)
    assert record.ok, record.error
    assert record.completion_tokens == record.token_ids_count == 24
    assert record.finish_reason == "length"
    assert record.chunks[-1].tokens == 24
    assert record.prompt_tokens
    ttft = latency_of_one.ttft_s(record)
    assert ttft is not None
    assert 0.05 <= ttft < 0.5


def test_one_connection_carries_many_requests_and_a_closed_one_is_replaced() -> None:
    quick = FakeServerConfig(timing=Timing(ttft_s=0.001, tpot_s=0.0001))
    with ExitStack() as stack, RunningFakeServer(quick) as server:
        client = stack.enter_context(closing(StreamingClient(server.url)))
        assert ask(client).ok
        first = client._connection
        assert first is not None
        assert ask(client).ok
        assert client._connection is first
        first._socket.shutdown(socket.SHUT_WR)  # the server answers by closing its side
        time.sleep(0.3)
        assert ask(client).ok
        assert client._connection is not first


@pytest.mark.parametrize(
    ("fault", "outcome", "words"),
    [
        ({"kind": "status", "status": 429, "retry_after_s": 1}, Outcome.HTTP_ERROR, "HTTP 429"),
        ({"kind": "status", "status": 401}, Outcome.HTTP_ERROR, "HTTP 401"),
        ({"kind": "status", "status": 500}, Outcome.HTTP_ERROR, "HTTP 500"),
        ({"kind": "garbage", "where": "http"}, Outcome.GARBAGE, "not HTTP"),
        ({"kind": "garbage", "where": "event"}, Outcome.GARBAGE, "JSON"),
        ({"kind": "truncate", "after_chunks": 3}, Outcome.TRUNCATED, "closed"),
        ({"kind": "truncate", "after_chunks": 3, "ends_body": True}, Outcome.TRUNCATED, "[DONE]"),
        ({"kind": "reset", "after_chunks": 2}, Outcome.CONNECTION, "reset"),
        ({"kind": "error_event", "after_chunks": 2}, Outcome.STREAM_ERROR, "EngineCore"),
        ({"kind": "hang"}, Outcome.TIMEOUT, "within"),
    ],
)
def test_every_fault_ends_as_one_record_with_its_outcome_and_the_next_request_works(
    fault: dict[str, object], outcome: Outcome, words: str
) -> None:
    script = parse_fault_script([{**fault, "on_request": 1}])
    config = FakeServerConfig(faults=script, timing=Timing(ttft_s=0.01, tpot_s=0.002))
    with (
        RunningFakeServer(config) as server,
        closing(StreamingClient(server.url, timeout_s=1.0)) as client,
    ):
        record = ask(client)
        assert record.outcome is outcome, record.error
        assert words.lower() in record.error.lower()
        assert latency_of_one.ttft_s(record) is None
        assert ask(client).ok


def test_a_stalled_stream_is_measured_as_it_came() -> None:
    script = parse_fault_script([{"kind": "stall", "stall_s": 0.4, "before_chunk": 5}])
    config = FakeServerConfig(faults=script, timing=Timing(ttft_s=0.02, tpot_s=0.01))
    with RunningFakeServer(config) as server:
        record = ask_once(server.url)
    assert max(latency_of_one.chunk_gaps_s(record)) >= 0.39


def test_a_server_that_is_not_there_is_a_connection_failure() -> None:
    record = ask_once("http://127.0.0.1:9")
    assert record.outcome is Outcome.CONNECTION
    assert "refused" in record.error.lower()


def test_an_unknown_model_brings_the_servers_own_words() -> None:
    with RunningFakeServer() as server:
        record = ask_once(server.url, model="zzz")
    assert record.http_status == 404
    assert "does not exist" in record.error


def test_the_api_key_is_sent() -> None:
    with RunningFakeServer(FakeServerConfig(api_key="k")) as server:
        assert ask_once(server.url).http_status == 401
        assert ask_once(server.url, api_key="k").ok


@contextmanager
def scripted_server(parts: list[tuple[float, bytes]]) -> Iterator[str]:
    """Answers one request with these bytes, each after its pause in seconds."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.recv(65536)
            for pause_s, data in parts:
                time.sleep(pause_s)
                connection.sendall(data)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        thread.join()
        listener.close()


def event(text: str, tokens: int, **more: object) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, **more}
    usage = {"prompt_tokens": 3, "completion_tokens": tokens, "total_tokens": 3 + tokens}
    return b"data: " + json.dumps({"choices": [choice], "usage": usage}).encode() + b"\n\n"


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
END = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\ndata: [DONE]\n\n'


def test_events_that_share_a_read_are_censored_but_for_the_last() -> None:
    """Three events leave in one segment: nobody can say when the first two arrived."""
    burst = event("b", 2) + event("c", 3) + event("d", 4)
    with scripted_server([(0.0, HEAD + event("a", 1)), (0.15, burst), (0.15, END)]) as url:
        record = ask_once(url, token_ids=False)
    assert record.ok, record.error
    assert [chunk.censored for chunk in record.chunks] == [False, True, True, False]
    assert len(latency_of_one.chunk_gaps_s(record)) == 0
    assert latency_of_one.tpot_s(record) == pytest.approx(0.05, abs=0.03)


def test_a_first_token_that_shared_its_read_voids_the_ttft() -> None:
    with scripted_server([(0.0, HEAD + event("a", 1) + event("b", 2)), (0.05, END)]) as url:
        record = ask_once(url, token_ids=False)
    assert record.ok, record.error
    assert record.first_text_censored
    assert latency_of_one.ttft_s(record) is None


def test_role_only_events_are_not_the_first_token() -> None:
    role = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}],"usage":{"prompt_tokens":3,"completion_tokens":0}}\n\n'
    parts = [
        (0.0, HEAD + role),
        (0.2, event("a", 1)),
        (0.05, event("é", 4, finish_reason="stop")),
        (0.05, END),
    ]
    with scripted_server(parts) as url:
        record = ask_once(url, token_ids=False)
    ttft = latency_of_one.ttft_s(record)
    assert ttft is not None
    assert ttft >= 0.2
    assert len(record.chunks) == 2


def test_reasoning_counts_as_text() -> None:
    thought = b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n'
    with scripted_server([(0.0, HEAD + thought), (0.1, event("a", 4)), (0.05, END)]) as url:
        record = ask_once(url, token_ids=False)
    assert record.first_text_s == record.chunks[0].at_s


def test_a_stream_without_usage_is_no_measurement() -> None:
    bare = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n'
    with scripted_server([(0.0, HEAD + bare)]) as url:
        record = ask_once(url, token_ids=False)
    assert record.outcome is Outcome.GARBAGE
    assert "usage" in record.error


def test_the_kernels_stamp_tells_the_truth_to_a_client_that_was_busy_elsewhere() -> None:
    """The second event comes while the client's event loop does something else for 150 ms."""
    busy: list[float] = []

    def be_busy() -> None:
        until = time.monotonic() + 0.25
        while time.monotonic() < until:
            pass
        busy.append(until)

    parts = [(0.0, HEAD + event("a", 1)), (0.2, event("b", 2)), (0.3, event("c", 3)), (0.05, END)]
    with scripted_server(parts) as url:
        gevent.spawn_later(0.1, be_busy)  # from 0.1 s to 0.35 s, over the arrival at 0.2 s
        record = ask_once(url, token_ids=False)
    assert record.ok, record.error
    assert record.clock == "kernel"
    gap = record.chunks[1].at_s - record.chunks[0].at_s
    assert gap == pytest.approx(0.2, abs=0.05)
    assert record.chunks[1].lag_s is not None
    assert record.chunks[1].lag_s > 0.1
    assert busy[0] - record.chunks[1].at_s > 0.1
    assert max(latency_of_one.client_lags_s(record)) == pytest.approx(record.chunks[1].lag_s, abs=1e-6)


def test_a_redirect_that_keeps_the_method_is_followed_and_the_key_stays_at_home() -> None:
    with RunningFakeServer(FakeServerConfig(timing=Timing(ttft_s=0.01, tpot_s=0.001))) as there:
        moved = (
            f"HTTP/1.1 307 Moved\r\nlocation: {there.url}/v1/chat/completions\r\n"
            "content-length: 0\r\nconnection: close\r\n\r\n"
        ).encode()
        with scripted_server([(0.0, moved)]) as url:
            record = ask_once(url, api_key="secret")
    assert record.ok, record.error
    assert record.completion_tokens == 24


def test_a_redirect_that_would_change_the_method_names_where_to_go() -> None:
    moved = b"HTTP/1.1 301 Moved\r\nlocation: https://elsewhere/v1\r\ncontent-length: 0\r\n\r\n"
    with scripted_server([(0.0, moved)]) as url:
        record = ask_once(url)
    assert record.outcome is Outcome.HTTP_ERROR
    assert "https://elsewhere/v1" in record.error


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("soon", None)]
)
def test_a_429_carries_the_servers_wish(header: str, seconds: float | None) -> None:
    busy = f"HTTP/1.1 429 Busy\r\nx-empty:\r\nretry-after: {header}\r\ncontent-length: 4\r\n\r\nbusy"
    with scripted_server([(0.0, busy.encode())]) as url:
        record = ask_once(url)
    assert (record.http_status, record.outcome) == (429, Outcome.HTTP_ERROR)
    assert record.retry_after_s == seconds


def test_an_answer_that_does_not_stream_is_not_taken_for_one() -> None:
    whole = b'{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(whole)
    with scripted_server([(0.0, head + whole)]) as url:
        record = ask_once(url)
    assert record.outcome is Outcome.GARBAGE
    assert "no event stream" in record.error


def test_headers_split_anywhere_and_interim_answers_are_read() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    answer = interim + HEAD + event("é", 4) + END
    for cut in range(0, len(interim + HEAD) + 30, 7):
        with scripted_server([(0.0, answer[:cut]), (0.02, answer[cut:])]) as url:
            record = ask_once(url, token_ids=False)
        assert record.ok, (cut, record.error)
        assert record.completion_tokens == 4


def test_an_answer_leaves_no_circle_behind_that_only_a_garbage_collection_would_free() -> None:
    """The load runs without one: circles would grow by some hundred bytes with every request."""
    quick = FakeServerConfig(timing=Timing(ttft_s=0.001, tpot_s=0.0001))
    with RunningFakeServer(quick) as server, closing(StreamingClient(server.url)) as client:
        ask(client)
        gc.collect()
        gc.disable()
        try:
            for _ in range(5):
                ask(client)
            found = gc.get_objects(generation=0)
            kinds = ("_Reading", "HttpAnswer", "Answer", "SseSplitter")
            alive = [o for o in found if type(o).__name__ in kinds]
        finally:
            gc.enable()
    assert len(alive) <= 4, "only those of the last answer, if any"
