"""Every kind of fault as a client sees it, which requests get it, and the strictness of the script."""

import itertools
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from accounting.errors import ConfigError
from serving.fake_server import (
    FakeServerConfig,
    RunningFakeServer,
    Timing,
    parse_fault_script,
    read_fault_script,
)
from serving.fake_server.faults import FaultDraw

BODY = {"prompt": "a b c", "max_tokens": 6, "ignore_eos": True, "return_token_ids": True}
STREAM = BODY | {"stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """One HTTP client for the whole file: making one is slower than most tests here."""
    with httpx.Client(trust_env=False, timeout=10) as opened:
        yield opened


def faulty(
    *rules: dict[str, object], exit_process: Callable[[int], object] = lambda _code: None, tpot_s: float = 0.0
) -> RunningFakeServer:
    """A fast server with these fault rules."""
    config = FakeServerConfig(timing=Timing(ttft_s=0, tpot_s=tpot_s), faults=parse_fault_script(list(rules)))
    return RunningFakeServer(config, exit_process=exit_process)


def read_stream(
    client: httpx.Client, server: RunningFakeServer
) -> tuple[list[str], httpx.TransportError | None]:
    """The events' data until the stream ends, and the error that ended it, if one did."""
    received = []
    try:
        with client.stream("POST", f"{server.url}/v1/completions", json=STREAM) as response:
            for line in response.iter_lines():
                if line:
                    received.append(line.removeprefix("data: "))
    except httpx.TransportError as error:
        return received, error
    return received, None


def finished(server: RunningFakeServer, reason: str, timeout_s: float = 5.0) -> float:
    """Tokens generated, once one request has finished for `reason`."""
    deadline = time.monotonic() + timeout_s
    while True:
        # On a connection of its own: the one before may be closing just now, which is the fault under test.
        page = httpx.get(f"{server.url}/metrics").text
        samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
        done = sum(
            sample.value
            for sample in samples
            if sample.name == "vllm:request_success_total" and sample.labels["finished_reason"] == reason
        )
        if done == 1:
            return next(sample.value for sample in samples if sample.name == "vllm:generation_tokens_total")
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_status(client: httpx.Client, status: int) -> None:
    """A refusal on the second request only, with Retry-After."""
    with faulty({"kind": "status", "status": status, "retry_after_s": 1, "on_request": 2}) as server:
        answers = [client.post(f"{server.url}/v1/completions", json=BODY) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, status, 200]
    assert answers[1].headers["retry-after"] == "1"
    assert "error" in answers[1].json()


def test_garbage_instead_of_http(client: httpx.Client) -> None:
    """The client cannot even read a status."""
    with faulty({"kind": "garbage"}) as server, pytest.raises(httpx.RemoteProtocolError):
        client.post(f"{server.url}/v1/completions", json=STREAM)


def test_garbage_as_an_event(client: httpx.Client) -> None:
    """One event is not JSON, the rest of the stream is whole."""
    with faulty({"kind": "garbage", "where": "event", "after_chunks": 2}) as server:
        received, error = read_stream(client, server)
        whole = client.post(f"{server.url}/v1/completions", json=BODY)
    assert error is None
    assert received[-1] == "[DONE]"
    with pytest.raises(json.JSONDecodeError):
        json.loads(received[2])
    assert sum(json.loads(event)["choices"] != [] for event in received[:2] + received[3:-1]) == 6
    with pytest.raises(json.JSONDecodeError):
        whole.json()


@pytest.mark.parametrize("ends_body", [False, True])
def test_truncate(client: httpx.Client, ends_body: bool) -> None:
    """No `[DONE]`, with and without a proper end of the HTTP body."""
    with faulty({"kind": "truncate", "after_chunks": 3, "ends_body": ends_body}) as server:
        received, error = read_stream(client, server)
        assert finished(server, "abort") == 3
        if not ends_body:
            with pytest.raises(httpx.RemoteProtocolError):
                client.post(f"{server.url}/v1/completions", json=BODY)
    assert len(received) == 3
    assert (error is None) == ends_body
    assert "[DONE]" not in received


def test_truncate_beyond_the_answer_leaves_out_its_end(client: httpx.Client) -> None:
    """All tokens came, the end mark did not."""
    with faulty({"kind": "truncate", "after_chunks": 99}) as server:
        received, error = read_stream(client, server)
        assert finished(server, "length") == 6
    assert len(received) == 6
    assert isinstance(error, httpx.RemoteProtocolError)


def test_reset(client: httpx.Client) -> None:
    """The client sees a TCP reset, not an end."""
    with faulty({"kind": "reset", "after_chunks": 2}) as server:
        received, error = read_stream(client, server)
        assert finished(server, "abort") == 2
        assert isinstance(error, httpx.ReadError)
        assert len(received) <= 2
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
            body = json.dumps(STREAM).encode()
            head = f"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
            sock.sendall(head.encode() + body)
            with pytest.raises(ConnectionResetError):
                b"".join(iter(lambda: sock.recv(65536), b""))


def test_stall(client: httpx.Client) -> None:
    """The gap is where it was scripted."""
    with faulty({"kind": "stall", "before_chunk": 3, "stall_s": 0.3}, tpot_s=0.005) as server:
        at_s = []
        with client.stream("POST", f"{server.url}/v1/completions", json=STREAM) as response:
            for line in response.iter_lines():
                if line.startswith("data: {"):
                    at_s.append(time.monotonic())
    gaps_s = [after - before for before, after in itertools.pairwise(at_s)]
    assert gaps_s.index(max(gaps_s)) == 1
    assert gaps_s[1] >= 0.15


def test_error_event(client: httpx.Client) -> None:
    """An error inside the stream, then `[DONE]`, as vLLM ends it."""
    with faulty({"kind": "error_event", "after_chunks": 2, "message": "boom"}) as server:
        received, error = read_stream(client, server)
        assert finished(server, "error") == 2
        whole = client.post(f"{server.url}/v1/completions", json=BODY)
    assert error is None
    assert json.loads(received[2]) == {
        "error": {"message": "boom", "type": "InternalServerError", "param": None, "code": 500}
    }
    assert received[3:] == ["[DONE]"]
    assert (whole.status_code, whole.json()["error"]["message"]) == (500, "boom")


def test_die(client: httpx.Client) -> None:
    """The exit code asked for, after the chunks asked for."""
    codes: list[int] = []
    with faulty({"kind": "die", "after_chunks": 2, "exit_code": 7}, exit_process=codes.append) as server:
        received, error = read_stream(client, server)
    assert codes == [7]
    assert (len(received), isinstance(error, httpx.RemoteProtocolError)) == (2, True)


def test_wrong_usage(client: httpx.Client) -> None:
    """Usage overstates; ids and metrics tell the truth."""
    with faulty({"kind": "wrong_usage"}) as server:
        received, _ = read_stream(client, server)
        events = [json.loads(event) for event in received[:-1]]
        assert finished(server, "length") == 6
        whole = client.post(f"{server.url}/v1/completions", json=BODY).json()
    assert sum(len(choice["token_ids"]) for event in events for choice in event["choices"]) == 6
    assert events[-1]["usage"] == {"prompt_tokens": 3, "total_tokens": 10, "completion_tokens": 7}
    assert whole["usage"]["completion_tokens"] == 7


def test_hang_until_the_client_gives_up(client: httpx.Client) -> None:
    """A hanging request keeps neither other requests nor the shutdown waiting."""
    with faulty({"kind": "hang", "on_request": 1}) as server:
        with pytest.raises(httpx.ReadTimeout):
            client.post(f"{server.url}/v1/completions", json=BODY, timeout=0.1)
        assert client.post(f"{server.url}/v1/completions", json=BODY).status_code == 200
    with faulty({"kind": "hang"}) as server, socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\n\r\n")
        time.sleep(0.02)  # leaving the block closes the server with this request still hanging


def test_metrics_missing_and_slow(client: httpx.Client) -> None:
    """Families left out, the page not found, and the page late."""
    names = ["vllm:generation_tokens", "vllm:time_to_first_token_seconds", "vllm:prompt_tokens_total"]
    with faulty(
        {"kind": "metrics_missing", "names": names},
        {"kind": "metrics_missing", "on_request": 2},
        {"kind": "slow_metrics", "delay_s": 0.1},
    ) as server:
        start_s = time.monotonic()
        page = client.get(f"{server.url}/metrics").text
        assert time.monotonic() - start_s >= 0.1
        assert client.get(f"{server.url}/metrics").status_code == 404
    families = {family.name for family in text_string_to_metric_families(page)}
    assert "vllm:prompt_tokens_cached" in families
    assert not families & {"vllm:generation_tokens", "vllm:prompt_tokens"}
    assert "time_to_first_token" not in page


def test_not_ready_for_a_while(client: httpx.Client) -> None:
    """/health turns from 503 to 200."""
    with faulty({"kind": "not_ready", "for_s": 0.4}) as server:
        assert client.get(f"{server.url}/health").status_code == 503
        time.sleep(0.45)
        assert client.get(f"{server.url}/health").status_code == 200


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        ({"kind": "status", "status": 500}, 500),
        ({"kind": "truncate"}, httpx.RemoteProtocolError),
        ({"kind": "reset"}, httpx.ReadError),
        ({"kind": "die"}, httpx.RemoteProtocolError),
        ({"kind": "stall", "stall_s": 0.05}, 200),
    ],
)
def test_faults_on_paths_that_generate_nothing(
    client: httpx.Client, rule: dict[str, object], outcome: int | type[Exception]
) -> None:
    """A rule with a path works on any path."""
    with faulty(rule | {"path": "/version"}) as server:
        assert client.get(f"{server.url}/health").status_code == 200
        if isinstance(outcome, int):
            assert client.get(f"{server.url}/version").status_code == outcome
        else:
            with pytest.raises(outcome):
                client.get(f"{server.url}/version")


def draws(rule: dict[str, object], count: int, *, seed: int = 0, path: str = "/v1/completions") -> list[int]:
    """The numbers of the requests to `path` that get the rule's fault."""
    draw = FaultDraw(parse_fault_script([rule]), seed)
    return [number for number in range(1, count + 1) if draw.next_faults(path)]


def test_which_requests_get_a_fault() -> None:
    """One, every n-th, a seeded share, or all."""
    assert draws({"kind": "hang"}, 3) == [1, 2, 3]
    assert draws({"kind": "hang", "on_request": 2}, 5) == [2]
    assert draws({"kind": "hang", "every": 3}, 9) == [3, 6, 9]
    assert draws({"kind": "hang", "path": "/health"}, 3) == []
    assert draws({"kind": "not_ready", "for_s": 1}, 2, path="/health") == [1, 2]
    share = {"kind": "hang", "share": 0.1}
    some = draws(share, 1000)
    assert some == draws(share, 1000)
    assert some != draws(share, 1000, seed=1)
    assert 60 <= len(some) <= 140
    assert draws({"kind": "hang", "share": 0.0}, 50) == []


def test_rules_count_for_themselves() -> None:
    """Requests on another rule's path do not count."""
    rules = [{"kind": "hang", "path": "/a", "on_request": 2}, {"kind": "reset", "path": "/b", "every": 1}]
    draw = FaultDraw(parse_fault_script({"rules": rules}), 0)
    assert [len(draw.next_faults(path)) for path in ("/b", "/a", "/b", "/a", "/a", "/c")] == [
        1,
        0,
        1,
        1,
        0,
        0,
    ]


@pytest.mark.parametrize(
    ("value", "words", "hint"),
    [
        ([{"kind": "truncat"}], "kind 'truncat' is unknown", "truncate"),
        ([{"kind": "stall", "stall_seconds": 1}], "key 'stall_seconds' is unknown", "stall_s"),
        ([{"kind": "hang", "after_chunks": 1}], "key 'after_chunks' is unknown", ""),
        ({"rule": []}, "key 'rule' is unknown", "rules"),
        ([{"kind": "stall"}], "stall_s", ""),
        ([{"kind": "status", "status": "500"}], "Expected `int`", ""),
        ([{"kind": "status", "status": 200}], "400 to 599", ""),
        ([{"kind": "hang", "every": 0}], "every is 0", ""),
        ([{"kind": "hang", "share": 1.5}], "share is 1.5", ""),
        ([{"kind": "hang", "share": 0.5, "every": 2}], "at most one", ""),
        ([{"kind": "reset", "after_chunks": -1}], "after_chunks is -1", ""),
        ([{"kind": "fragment", "sizes": [0]}], "sizes is [0]", ""),
        ([{"kind": "fragment", "sizes": []}], "sizes is []", ""),
        ([{"kind": "interim", "statuses": [101]}], "statuses is [101]", ""),
        ([{"kind": "framing", "http_1_0": True}], "HTTP/1.0 has no chunks", '"close"'),
        ([{"kind": "framing", "body": "chunks"}], "Invalid enum value 'chunks'", ""),
        ([{"kind": "glue", "events": 0}], "events is 0", ""),
        ([{"kind": "redirect", "status": 304}], "304", ""),
        ([{"path": "/"}], 'must be an object with a "kind"', ""),
        ("hang", "must be a list", ""),
    ],
)
def test_wrong_scripts_are_refused(value: object, words: str, hint: str) -> None:
    """With the nearest name where there is one."""
    with pytest.raises(ConfigError) as caught:
        parse_fault_script(value)
    assert words in caught.value.message
    assert hint in caught.value.hint


def test_script_from_text_and_file(tmp_path: Path) -> None:
    """JSON text, a file, and plain values are the same script."""
    text = '[{"kind": "hang", "every": 2}]'
    path = tmp_path / "faults.json"
    path.write_text(text, encoding="utf-8")
    assert read_fault_script(text) == read_fault_script(str(path)) == parse_fault_script(json.loads(text))
    for wrong in ("[{", str(tmp_path / "absent.json")):
        with pytest.raises(ConfigError):
            read_fault_script(wrong)
