"""`kilotoken load` as a user calls it: every kind of load, what is kept of it, and what happens when it is cut short."""

import contextlib
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from accounting.records import Phase, RequestRecord
from loadtest.request_store import read_records
from serving.fake_server import FakeServerConfig, RunningFakeServer, Timing, parse_fault_script
from serving.free_port import free_port
from tests.integration.processes import all_gone, tree_of, wait_for

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]

KEYS = (
    "requests", "failed", "output_tokens", "window_s", "output_tokens_per_s", "ttft_ms", "tpot_ms",
    "chunk_gap_ms", "e2e_ms", "client_lag_ms", "censored_share", "clock", "send_lateness_ms", "verdict", "reason",
)  # fmt: skip
TIMING = Timing(ttft_s=0.01, tpot_s=0.003)
SHORT = ("--warm-up", 0.3)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with RunningFakeServer(FakeServerConfig(timing=TIMING)) as running:
        yield running.url


def loaded(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def measured(out: Path) -> list[RequestRecord]:
    return [r for r in read_records(out / "requests.parquet") if r.phase is Phase.MEASURED]


def test_a_closed_loop_says_everything_that_it_promises_and_keeps_it(
    server: str, tmp_path: Path, kilotoken: Command
) -> None:
    done = kilotoken(
        "load", "--url", f"{server}/v1", "--streams", 3, "--think-time", 0.02, "--duration", 1.5, *SHORT,
        "--max-tokens", 20, "--out", "out", "--json",
    )  # fmt: skip
    document = loaded(done)
    assert [key for key in KEYS if key not in document] == []
    for latency in ("ttft_ms", "tpot_ms", "chunk_gap_ms", "e2e_ms", "send_lateness_ms"):
        assert {"p50", "p95", "p99"} <= document[latency].keys()
    assert {"p50", "p99"} <= document["client_lag_ms"].keys()
    assert {"throughput", "tails", "acceptance"} == document["verdict"].keys()
    assert document["requests"] > 10
    assert document["failed"] == 0
    assert document["clock"] in ("kernel", "user")
    assert document["reconciliation"]["reconciled"], "a server with vLLM's counters is counted twice"
    energy = document["energy"]
    assert (energy["joules"] is None) == bool(energy["reason"]), "measured, or said why not"
    assert document["ttft_ms"]["p50"] >= 10.0, "the server needs 10 ms to its first token"
    assert {r.stream for r in measured(tmp_path / "out")} == {0, 1, 2}
    assert json.loads((tmp_path / "out/summary.json").read_text()) == document
    assert "Kept in out" in done.stderr
    again = kilotoken("load", "--url", server, "--streams", 1, "--out", "out")
    assert again.returncode == 7
    assert "out is not empty" in again.stderr


def test_an_open_loop_follows_its_ramp(server: str, tmp_path: Path, kilotoken: Command) -> None:
    done = kilotoken(
        "load", "--url", server, "--rate", "5-45@2s,45", "--arrivals", "constant", *SHORT,
        "--max-tokens", 5, "--duration", 2, "--out", "out", "--json",
    )  # fmt: skip
    arrivals = loaded(done)["arrivals"]
    assert arrivals["sent"] == arrivals["intended"]
    at_s = sorted(r.intended_send_s for r in measured(tmp_path / "out"))
    first_s, second_s = (sum(lower <= at - at_s[0] < lower + 1 for at in at_s) for lower in (0.0, 1.0))
    assert first_s == pytest.approx(15, abs=3)
    assert second_s == pytest.approx(35, abs=3)


@pytest.mark.parametrize("load", [("--streams", 3), ("--rate", 60)], ids=["closed", "open"])
def test_so_many_requests_as_asked_for_each_exactly_so_long(
    load: tuple[object, ...], server: str, tmp_path: Path, kilotoken: Command
) -> None:
    document = loaded(
        kilotoken(
            "load", "--url", server, *load, "--requests", 10, "--output", "fixed:7", *SHORT, "--out", "out", "--json"
        )
    )  # fmt: skip
    assert (document["requests"], document["failed"]) == (10, 0)
    assert 63 <= document["output_tokens"] <= 91, "the warm-up's last answers may reach in"
    records = measured(tmp_path / "out")
    assert [(r.completion_tokens, r.expected_tokens) for r in records] == [(7, 7)] * 10
    assert len({r.prompt_id for r in records}) == 10


def test_natural_lengths_are_recorded_once_and_then_kept(
    server: str, tmp_path: Path, kilotoken: Command
) -> None:
    for out in ("first", "second"):
        done = kilotoken(
            "load", "--url", server, "--streams", 2, "--requests", 12, "--output", "natural", *SHORT,
            "--max-tokens", 40, "--out", out, "--json", KILOTOKEN_CACHE=str(tmp_path / "cache"),
        )  # fmt: skip
        document = loaded(done)
        assert document["requests"] == 12
        assert document["load"]["natural_lengths"]["prompts"] >= 12
    assert (tmp_path / "first/recording/requests.parquet").exists()
    assert not (tmp_path / "second/recording").exists()
    first, second = (
        {r.prompt_id: (r.expected_tokens, r.completion_tokens) for r in measured(tmp_path / out)}
        for out in ("first", "second")
    )
    assert first == second
    assert all(expected == got for expected, got in first.values())
    assert len(set(first.values())) > 3, "answers differ in length by nature"


def test_a_conversation_is_asked_turn_by_turn(server: str, tmp_path: Path, kilotoken: Command) -> None:
    lines = [
        {
            "prompt": f"Name river number {i}.",
            "turns": ["How long is it?", "And how deep?"],
            "template": f"t{i}",
        }
        for i in range(30)
    ]
    (tmp_path / "talk.jsonl").write_text("\n".join(map(json.dumps, lines)))
    loaded(
        kilotoken(
            "load", "--url", server, "--workload", "talk.jsonl", "--streams", 2, "--requests", 4, *SHORT,
            "--max-tokens", 6, "--out", "out", "--json",
        )
    )  # fmt: skip
    records = measured(tmp_path / "out")
    sessions: dict[str, list[RequestRecord]] = {}
    for record in sorted(records, key=lambda r: r.turn):
        sessions.setdefault(record.session, []).append(record)
    assert len(sessions) == 4
    for turns in sessions.values():
        assert [r.turn for r in turns] == [0, 1, 2]
        asked_tokens = [r.prompt_tokens or 0 for r in turns]
        assert asked_tokens == sorted(set(asked_tokens)), "what was said is said again"
        assert turns[1].intended_send_s >= turns[0].end_s


def test_a_trace_is_replayed_at_its_own_times(server: str, tmp_path: Path, kilotoken: Command) -> None:
    offsets_s, sizes = (0.0, 0.4, 0.6, 1.4, 2.0), ((20, 5), (30, 6), (25, 7), (40, 8), (10, 3))
    lines = [
        f"2023-11-16 18:15:{46.5 + offset_s:010.7f},{context},{answer}"
        for offset_s, (context, answer) in zip(offsets_s, sizes, strict=True)
    ]
    (tmp_path / "azure.csv").write_text("\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *lines]) + "\n")
    document = loaded(
        kilotoken(
            "load", "--url", server, "--trace", "azure:azure.csv", "--speed", 2, *SHORT, "--out", "out", "--json"
        )
    )  # fmt: skip
    records = sorted(measured(tmp_path / "out"), key=lambda r: r.intended_send_s)
    assert [r.intended_send_s - records[0].intended_send_s for r in records] == pytest.approx(
        [offset_s / 2 for offset_s in offsets_s]
    )
    assert [(r.prompt_tokens, r.completion_tokens) for r in records] == list(sizes)
    assert document["requests"] == 5, "all of a trace is inside its window"
    assert document["arrivals"]["share_sent"] == 1.0
    assert document["load"]["endpoint"] == "completions"


def test_two_processes_send_what_one_does(server: str, tmp_path: Path, kilotoken: Command) -> None:
    for processes in (1, 2):
        document = loaded(
            kilotoken(
                "load", "--url", server, "--rate", 40, "--requests", 30, "--processes", processes, "--seed", 7,
                *SHORT, "--max-tokens", 5, "--out", f"out{processes}", "--json",
            )
        )  # fmt: skip
        assert document["requests"] == 30
    one, two = (measured(tmp_path / f"out{processes}") for processes in (1, 2))
    assert {r.worker for r in two} == {0, 1}
    assert offsets(two) == offsets(one)


def offsets(records: list[RequestRecord]) -> list[tuple[float, str]]:
    """Every send to the microsecond of the schedule, with its prompt."""
    first_s = min(r.intended_send_s for r in records)
    return sorted((round(r.intended_send_s - first_s, 6), r.prompt_id) for r in records)


class Listener(BaseHTTPRequestHandler):
    """A server that keeps what it was asked, and asks for a key."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    key = "sk-7c1d-do-not-tell"
    heard: list[tuple[str, dict[str, Any]]] = []  # noqa: RUF012 - one list for all handlers is the point

    def do_GET(self) -> None:
        self._answer(
            b'{"object": "list", "data": [{"id": "theirs"}]}' if self.path == "/v1/models" else b"{}"
        )

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        if self.path != "/reset_prefix_cache":
            self.heard.append((self.path, body))
        event = {"choices": [{"text": "word", "finish_reason": "stop"}]}
        usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}
        stream = "".join(f"data: {json.dumps(value)}\n\n" for value in (event, usage)) + "data: [DONE]\n\n"
        self._answer(stream.encode(), "text/event-stream")

    def _answer(self, content: bytes, kind: str = "application/json") -> None:
        known = self.headers.get("authorization") == f"Bearer {self.key}"
        self.send_response(200 if known and content != b"{}" else 404 if known else 401)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def listener() -> Iterator[str]:
    Listener.heard.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as listening:
        listening.daemon_threads = True
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def test_sampling_reaches_the_server_and_the_key_reaches_nobody_else(
    listener: str, tmp_path: Path, started: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEIR_KEY", Listener.key)
    child = started(
        "load", "--url", listener, "--api-key-env", "THEIR_KEY", "--endpoint", "completions", "--streams", 2,
        "--duration", 2, *SHORT, "--temperature", 0.7, "--top-p", 0.9, "--top-k", 40, "--sampling-seed", 11,
        "--max-tokens", 9, "--out", "out",
    )  # fmt: skip
    wait_for(lambda: Listener.heard)
    told = [" ".join(p.cmdline()) for p in (psutil.Process(child.pid), *tree_of(child.pid))]
    assert any("locust" in line for line in told)
    output, _ = child.communicate(timeout=60)
    assert child.returncode == 0, output
    assert "verdict: " in output
    kept = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert b"theirs" in kept
    for told_or_kept in (*told, output, kept.decode("latin-1")):
        assert Listener.key not in told_or_kept
    assert {path for path, _ in Listener.heard} == {"/v1/completions"}
    wanted = {"temperature": 0.7, "top_p": 0.9, "top_k": 40, "seed": 11}
    assert all(wanted.items() <= body.items() for _, body in Listener.heard)
    longest = max(body["max_tokens"] for _, body in Listener.heard)
    assert longest == 9, "measured answers are as long as allowed, the warm-up's are cut"
    assert not any("ignore_eos" in body for _, body in Listener.heard), "vLLM's fields are for vLLM"


def test_a_server_that_only_fails_is_an_error_whose_records_are_kept(
    tmp_path: Path, kilotoken: Command
) -> None:
    faults = parse_fault_script([{"kind": "status", "status": 500}])
    with RunningFakeServer(FakeServerConfig(timing=TIMING, faults=faults)) as failing:
        gave_up = kilotoken("load", "--url", failing.url, "--streams", 2, *SHORT, "--out", "out")
        few = kilotoken(
            "load", "--url", failing.url, "--rate", 20, "--requests", 5, "--warm-up", 0, "--out", "few"
        )  # fmt: skip
    for done, out in ((gave_up, "out"), (few, "few")):
        assert done.returncode == 5
        assert done.stdout == ""
        paragraph = done.stderr.strip().splitlines()[-1]
        assert paragraph.startswith("Error: every request failed: HTTP 500")
        assert f"The records are in {out}/requests.parquet" in paragraph
        assert "Traceback" not in done.stderr
        assert {r.http_status for r in read_records(tmp_path / out / "requests.parquet")} == {500}


def running(
    started: Start, server: str, *arguments: object
) -> "tuple[subprocess.Popen[str], list[psutil.Process]]":
    """A load in its measured part, and its processes."""
    child = started(
        "load", "--url", server, "--streams", 2, "--duration", 60, *SHORT, "--out", "out", *arguments
    )  # fmt: skip
    lines = iter(child.stdout or ())
    assert any(line.startswith("window") for line in lines)
    tree = tree_of(child.pid)
    assert tree
    return child, tree


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_a_load_leaves_no_process(number: signal.Signals, server: str, started: Start) -> None:
    child, tree = running(started, server, "--processes", 2)
    child.send_signal(number)
    output, _ = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "Stopped: stopped as you asked; nothing was measured." in output
    assert "Traceback" not in output
    wait_for(lambda: all_gone(tree), 10)


def test_kill_9_of_the_command_ends_its_load(server: str, started: Start) -> None:
    child, tree = running(started, server, "--processes", 2)
    assert len(tree) >= 3, "a master and two workers"
    child.kill()
    child.wait()
    wait_for(lambda: all_gone(tree), 15)


def test_load_processes_that_are_held_up_for_seconds_lose_nothing(server: str, started: Start) -> None:
    """Longer than Locust waits by itself: a machine that is busy elsewhere does not end the load."""
    child = started(
        "load", "--url", server, "--streams", 2, "--duration", 8, *SHORT, "--processes", 2, "--out", "out"
    )  # fmt: skip
    assert any(line.startswith("window") for line in iter(child.stdout or ()))
    tree = tree_of(child.pid)
    parents = {p.pid: p.ppid() for p in tree}
    workers = [p for p in tree if parents[p.pid] in parents]
    assert len(workers) == 2
    for worker in workers:
        worker.suspend()
    time.sleep(6.0)
    for worker in workers:
        worker.resume()
    output, _ = child.communicate(timeout=40)
    assert child.returncode == 0, output
    assert "client_bound" in output


def test_a_load_process_that_dies_ends_the_load_with_a_clear_error(server: str, started: Start) -> None:
    child, tree = running(started, server, "--processes", 2)
    parents = {p.pid: p.ppid() for p in tree}
    worker = next(p for p in tree if parents[p.pid] in parents)
    worker.kill()
    output, _ = child.communicate(timeout=40)
    assert child.returncode == 6
    assert "Error: the load generator could not go on: 1 of 2 load processes have gone" in output
    assert "Traceback" not in output
    assert all_gone(tree)


def test_locusts_page_shows_the_load(server: str, started: Start) -> None:
    port = free_port()
    child, tree = running(started, server, "--web", port)
    url = f"http://127.0.0.1:{port}"
    wait_for(lambda: asked(f"{url}/stats/requests")["stats"][0]["num_requests"] > 0)
    (row, total) = asked(f"{url}/stats/requests")["stats"]
    assert (row["name"], row["method"]) == ("/v1/chat/completions", "POST")
    assert total["name"] == "Aggregated"
    assert row["num_failures"] == 0
    assert "Locust" in httpx.get(url).text
    with contextlib.suppress(httpx.TransportError):  # the page may go before it has answered
        assert httpx.post(f"{url}/stop", timeout=30).is_success
    output, _ = child.communicate(timeout=30)
    assert child.returncode == 6
    assert "stopped from outside, as by the button of Locust's page" in output
    assert all_gone(tree)


def asked(url: str) -> dict[str, Any]:
    answered: dict[str, Any] = httpx.get(url).json()
    return answered


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--streems", 4), "No such option: --streems"),
        (("--streams", 0), "'--streams'"),
        (("--streams", 2, "--workload", "chta"), "Did you mean 'chat'?"),
        (("--streams", 2, "--web", 99999), "'--web'"),
    ],
)
def test_a_typing_mistake_is_one_paragraph_before_anything_is_sent(
    arguments: tuple[object, ...], says: str, tmp_path: Path, kilotoken: Command
) -> None:
    done = kilotoken("load", "--url", "http://127.0.0.1:1", *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
