"""`kilotoken collect` as a user calls it: what it writes is replayed, and a kill loses nothing and asks nothing twice."""

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from accounting import metric_names as names
from drafts.replay.traces import Trace, read_traces
from serving.endpoints import MetricsPage
from serving.fake_server import FakeServerConfig, RunningFakeServer, Timing, parse_fault_script
from serving.scrape import parse_page
from tests.integration.processes import wait_for

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]

AT_ONCE = Timing(ttft_s=0, tpot_s=0)
PARTS = ("train.jsonl", "heldout.jsonl")


def answered(url: str) -> float:
    """Requests of which the server has made at least one token."""
    page = MetricsPage(httpx.get(f"{url}/metrics").text, 0.0, 0.1)
    return parse_page(page).counters[names.FIRST_TOKENS]


def collected(kilotoken: Command, url: str, *more: object, out: str = "out") -> dict[str, Any]:
    done = kilotoken("collect", "--url", url, "--out", out, *more, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def traces(directory: Path) -> list[list[Trace]]:
    return [read_traces(directory / name) for name in PARTS]


def test_two_workloads_become_traces_that_replay_reads(kilotoken: Command, tmp_path: Path) -> None:
    with RunningFakeServer(FakeServerConfig(timing=AT_ONCE)) as server:
        document = collected(
            kilotoken,
            server.url,
            "--workload",
            "chat",
            "--workload",
            "copy",
            "--count",
            40,
            "--max-tokens",
            24,
        )
        assert answered(server.url) == 80
    train, held = traces(tmp_path / "out")
    assert len(train) + len(held) == 80
    assert {t.label for t in train} == {t.label for t in held} == {"chat", "copy"}
    assert not {(t.label, t.template) for t in train} & {(t.label, t.template) for t in held}
    assert all(len(t.output_token_ids) <= 24 and t.model == "fake-model" for t in train + held)
    assert {t.finish_reason for t in train + held} == {"stop", "length"}
    part, summary = document["parts"]["train"], document["summary"]
    assert part["output_tokens"] == sum(len(t.output_token_ids) for t in train)
    assert part["cut_off"] == sum(t.finish_reason == "length" for t in train)
    assert (summary["answered"], summary["failed"], summary["not_greedy"]) == (80, {}, 0)
    [start] = document["starts"]
    assert (start["server"]["version"], start["server"]["speculation"]) == ("0.32.0", "off")
    assert document == json.loads((tmp_path / "out/collect.json").read_text())
    replayed = kilotoken("replay", "out/train.jsonl", "--k", 2, "--json")
    assert [row["label"] for row in json.loads(replayed.stdout)["rows"]] == [None, "chat", "copy"]


def test_a_kill_loses_nothing_and_nothing_is_asked_twice(
    kilotoken: Command, started: Start, tmp_path: Path
) -> None:
    options = ("--workload", "chat", "--count", 60, "--max-tokens", 24, "--concurrency", 3)
    slow = FakeServerConfig(timing=Timing(ttft_s=0.05, tpot_s=0.002))
    journal = tmp_path / "out" / "journal.jsonl"

    def kept() -> set[str]:
        lines = journal.read_text().splitlines() if journal.exists() else []
        return {
            json.loads(line)["trace"]["id"]
            for line in lines
            if line.startswith('{"trace') and line[-1] == "}"
        }

    with RunningFakeServer(slow) as server:
        whole = collected(kilotoken, server.url, *options, out="whole")
        before = answered(server.url)
        assert before == 60
        child = started("collect", "--url", server.url, "--out", "out", *options)
        wait_for(lambda: len(kept()) >= 8)
        child.send_signal(signal.SIGKILL)
        child.wait()
        first = kept()
        assert 8 <= len(first) < 60
        time.sleep(0.3)  # the server notices that nobody waits for what was in flight
        begun = answered(server.url) - before
        document = collected(kilotoken, server.url, *options)
        assert answered(server.url) - before == begun + 60 - len(first)
    assert first < kept()
    for name in PARTS:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert document["parts"] == whole["parts"]
    assert len(document["starts"]) == 2


def test_ctrl_c_says_what_is_kept(started: Start, kilotoken: Command, tmp_path: Path) -> None:
    options = ("--workload", "chat", "--count", 50, "--concurrency", 2)
    with RunningFakeServer(FakeServerConfig(timing=Timing(ttft_s=0.1, tpot_s=0))) as server:
        child = started("collect", "--url", server.url, "--out", "out", *options)
        wait_for(lambda: answered(server.url) > 4)
        child.send_signal(signal.SIGINT)
        said, _ = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "answers are kept; the same command goes on" in " ".join(said.split())
    assert "Traceback" not in said


def test_when_the_time_is_over_what_came_is_whole_and_the_same_command_goes_on(
    kilotoken: Command, tmp_path: Path
) -> None:
    options = ("--workload", "chat", "--count", 40, "--max-tokens", 8, "--concurrency", 2)
    with RunningFakeServer(FakeServerConfig(timing=Timing(ttft_s=0.2, tpot_s=0))) as server:
        done = kilotoken("collect", "--url", server.url, "--out", "out", *options, "--duration", 1)
        assert done.returncode == 0, done.stderr
        first = sum(map(len, traces(tmp_path / "out")))
        assert 2 <= first <= 14
        assert f"{40 - first} prompts were not asked, as the time was over" in " ".join(done.stdout.split())
        document = collected(kilotoken, server.url, *options)
        assert answered(server.url) == 40
    assert document["summary"]["answered"] == 40
    assert sum(map(len, traces(tmp_path / "out"))) == 40


def test_more_prompts_of_the_same_collection_go_on_and_other_options_are_refused(
    kilotoken: Command, tmp_path: Path
) -> None:
    with RunningFakeServer(FakeServerConfig(timing=AT_ONCE)) as server:
        collected(kilotoken, server.url, "--workload", "chat", "--count", 10)
        collected(kilotoken, server.url, "--workload", "chat", "--count", 30, "--concurrency", 2)
        assert answered(server.url) == 30
        other = kilotoken(
            "collect", "--url", server.url, "--out", "out", "--workload", "chat", "--max-tokens", 99
        )
        assert other.returncode == 7
        assert "max_tokens 256, not 99" in " ".join(other.stderr.split())
        assert answered(server.url) == 30
    assert sum(map(len, traces(tmp_path / "out"))) == 30


def test_failures_are_counted_with_their_reasons_and_asked_again(kilotoken: Command, tmp_path: Path) -> None:
    options = ("--workload", "chat", "--count", 20, "--concurrency", 1)
    faults = parse_fault_script([{"kind": "status", "status": 503, "every": 4}])
    with RunningFakeServer(FakeServerConfig(timing=AT_ONCE, faults=faults)) as server:
        document = collected(kilotoken, server.url, *options)
    assert document["summary"]["answered"] == 15
    [(reason, times)] = document["summary"]["failed"].items()
    assert ("HTTP 503" in reason, times) == (True, 5)
    with RunningFakeServer(FakeServerConfig(timing=AT_ONCE)) as server:
        table = kilotoken("collect", "--url", server.url, "--out", "out", *options)
        assert answered(server.url) == 5
    assert "20 of 20 prompts are answered" in table.stdout
    assert sum(map(len, traces(tmp_path / "out"))) == 20


def test_what_lies_behind_the_end_is_asked_with_the_whole_answer(kilotoken: Command, tmp_path: Path) -> None:
    with RunningFakeServer(FakeServerConfig(timing=AT_ONCE)) as server:
        document = collected(
            kilotoken, server.url, "--workload", "chat", "--count", 10, "--beyond", 8, "--max-tokens", 12
        )
        train, held = traces(tmp_path / "out")
        trace = (train + held)[0]
        body = {"model": "fake-model", "prompt": trace.prompt_token_ids + trace.output_token_ids}
        body |= {"max_tokens": 8, "ignore_eos": True, "return_token_ids": True}
        again = httpx.post(f"{server.url}/v1/completions", json=body).json()
    assert all(len(t.beyond_token_ids) == 8 for t in train + held)
    assert trace.beyond_token_ids == again["choices"][0]["token_ids"]
    assert document["summary"]["end_not_known"] == 0


def test_a_prompts_own_sampling_and_limit_are_kept(kilotoken: Command, tmp_path: Path) -> None:
    lines = [
        {"prompt": "Name a river.", "sampling": {"temperature": 0.8, "seed": 3}},
        {"prompt": "Name a hill.", "max_tokens": 5, "turns": ["And another?"]},
        {"prompt": "Name a lake."},
    ]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with RunningFakeServer(FakeServerConfig(timing=AT_ONCE)) as server:
        document = collected(
            kilotoken, server.url, "--workload", "mine.jsonl", "--beyond", 4, "--endpoint", "completions"
        )
    by_id = {t.id: t for part in traces(tmp_path / "out") for t in part}
    assert len(by_id["mine-line-00002"].output_token_ids) == 5
    assert by_id["mine-line-00001"].beyond_token_ids == [], "a sampled answer goes on in many ways"
    assert (document["summary"]["not_greedy"], document["summary"]["turns_not_asked"]) == (1, 1)


@pytest.mark.parametrize(
    ("config", "more", "code", "said"),
    [
        (FakeServerConfig(), ("--model", "another"), 2, "serves fake-model"),
        (FakeServerConfig(), ("--workload", "synthetic:input=9,output=9"), 2, "say nothing"),
        (
            FakeServerConfig(timing=AT_ONCE, faults=parse_fault_script([{"kind": "status", "status": 500}])),
            (),
            5,
            "20 requests in a row failed, the last one so: HTTP 500",
        ),
    ],
)
def test_what_cannot_be_collected_is_said(
    kilotoken: Command, config: FakeServerConfig, more: tuple[object, ...], code: int, said: str
) -> None:
    with RunningFakeServer(config) as server:
        done = kilotoken(
            "collect", "--url", server.url, "--out", "out", "--workload", "chat", "--count", 40, *more
        )
    assert done.returncode == code, done.stdout + done.stderr
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "give --url, or --target alone"),
        (
            ["--url", "http://127.0.0.1:9", "--target", "smollm2-135m-instruct"],
            "give --url, or --target alone",
        ),
        (["--target", "smollm2-135m-instruct", "--model", "x"], "give --url, or --target alone"),
        (["--target", "no-such-model"], "no-such-model"),
        (["--target", "smollm2-135m-instruct", "--workload", "chatt"], "chatt"),
    ],
)
def test_who_is_asked_is_said_once_and_before_a_server_starts(
    kilotoken: Command, tmp_path: Path, options: list[str], said: str
) -> None:
    done = kilotoken("collect", "--out", "out", "--workload", "chat", *options)
    assert done.returncode in (2, 4), done.stderr
    assert said in " ".join(done.stderr.split())
    assert not (tmp_path / "out" / "server.log").exists()


def test_a_server_that_is_gone_is_said_and_what_came_is_kept(
    kilotoken: Command, tmp_path: Path, started: Start
) -> None:
    with RunningFakeServer(FakeServerConfig(timing=Timing(ttft_s=0.05, tpot_s=0))) as server:
        child = started(
            "collect", "--url", server.url, "--out", "out", "--workload", "chat", "--concurrency", 1
        )
        wait_for(lambda: answered(server.url) > 3)
    said, _ = child.communicate(timeout=30)
    assert child.returncode == 5
    assert "answers are kept" in " ".join(said.split())
    assert "Traceback" not in said


class WithoutIds(BaseHTTPRequestHandler):
    """Answers every chat, as vLLM did before it knew `return_token_ids`, or as another make does."""

    owner = "vllm"

    def do_GET(self) -> None:
        self._json({"object": "list", "data": [{"id": "theirs", "owned_by": self.owner}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._json({"choices": [{"message": {"content": "Yes."}, "finish_reason": "stop"}]})

    def _json(self, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


class OtherMake(WithoutIds):
    owner = "somebody"


@pytest.mark.parametrize(("handler", "said"), [(WithoutIds, "gives no token ids"), (OtherMake, "is no vLLM")])
def test_a_server_without_token_ids_is_refused(
    kilotoken: Command, handler: type[BaseHTTPRequestHandler], said: str
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        done = kilotoken("collect", "--url", url, "--out", "out", "--workload", "chat")
        server.shutdown()
    words = " ".join(done.stderr.split())
    assert done.returncode == 5, words
    assert said in words
    assert "collect from a vLLM server" in words
    assert "Traceback" not in words
