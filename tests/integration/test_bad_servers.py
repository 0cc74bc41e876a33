"""Servers that refuse, lie or cannot be measured: told in one paragraph, never priced."""

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from serving.fake_server import FakeServerConfig, RunningFakeServer, Timing, parse_fault_script

Command = Callable[..., "subprocess.CompletedProcess[str]"]

ATTACHED = """
name: attached
arms:
  running: {{url: "{url}"{more}}}
workloads: [chat]
loads: {{streams: [2]}}
output: {{max_tokens: 16}}
window: {{minimum_s: 1.5, warm_up_s: 0.3}}
repeats: 1
request_timeout_s: 5
price: {{usd_per_hour: 3.6, source: declared for a test, as_of: 2026-11-22}}
"""
QUICK = Timing(ttft_s=0.01, tpot_s=0.002)


def attached(directory: Path, url: str, more: str = "") -> Path:
    path = directory / "attached.yaml"
    path.write_text(ATTACHED.format(url=url, more=more))
    return path


def only_cell(kilotoken: Command, run: Path) -> dict[str, Any]:
    shown = kilotoken("show", run, "--json")
    assert shown.returncode == 0, shown.stderr
    (cell,) = json.loads(shown.stdout)["cells"]
    assert isinstance(cell, dict)
    return cell


def test_a_server_that_already_runs_is_measured_without_an_engine(tmp_path: Path, kilotoken: Command) -> None:
    with RunningFakeServer(FakeServerConfig(timing=QUICK)) as server:
        done = kilotoken("run", attached(tmp_path, server.url + "/v1"), "--out", "out")
    assert done.returncode == 0, done.stderr
    cell = only_cell(kilotoken, tmp_path / "out")
    assert cell["reconciled"]
    assert cell["usd_per_1k_output_tokens"] > 0


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "status", "status": 401}, "HTTP 401"),
        ({"kind": "status", "status": 404}, "HTTP 404"),
        ({"kind": "status", "status": 429}, "HTTP 429"),
        ({"kind": "status", "status": 500}, "HTTP 500"),
        ({"kind": "garbage", "where": "http"}, "not HTTP"),
        ({"kind": "garbage", "where": "event"}, "not the expected JSON"),
        ({"kind": "truncate", "after_chunks": 2}, "closed before the answer was complete"),
    ],
)
def test_a_server_that_only_fails_is_told_in_its_own_words(
    fault: dict[str, Any], words: str, tmp_path: Path, kilotoken: Command
) -> None:
    config = FakeServerConfig(timing=QUICK, faults=parse_fault_script([fault]))
    with RunningFakeServer(config) as server:
        done = kilotoken("run", attached(tmp_path, server.url), "--out", "out")
    assert done.returncode == 5, done.stdout + done.stderr
    assert "every request failed" in done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.glob("out/blocks/*/cells/*/requests.parquet")), "the records are kept"


def test_some_failures_are_counted_and_void_the_cell(tmp_path: Path, kilotoken: Command) -> None:
    script = parse_fault_script([{"kind": "status", "status": 500, "every": 10}])
    with RunningFakeServer(FakeServerConfig(timing=QUICK, faults=script)) as server:
        done = kilotoken("run", attached(tmp_path, server.url), "--out", "out")
    assert done.returncode == 0, done.stderr
    cell = only_cell(kilotoken, tmp_path / "out")
    assert 0.05 < cell["failed"] / cell["requests"] < 0.2
    assert cell["verdict"]["throughput"] == "failed"


def test_usage_that_lies_by_one_token_withholds_the_cost(tmp_path: Path, kilotoken: Command) -> None:
    script = parse_fault_script([{"kind": "wrong_usage", "on_request": 20}])
    with RunningFakeServer(FakeServerConfig(timing=QUICK, faults=script)) as server:
        done = kilotoken("run", attached(tmp_path, server.url), "--out", "out")
    assert done.returncode == 0, done.stderr
    cell = only_cell(kilotoken, tmp_path / "out")
    assert cell["reconciled"] is False
    assert cell["usd_per_1k_output_tokens"] is None
    assert cell["verdict"]["throughput"] == "unreconciled"
    reconciliation = cell["reconciliation"]
    assert reconciliation["usage_output_tokens"] == reconciliation["server_output_tokens"] + 1


def test_a_server_without_metrics_is_measured_by_its_usage_and_never_called_valid(
    tmp_path: Path, kilotoken: Command
) -> None:
    script = parse_fault_script([{"kind": "metrics_missing"}])
    with RunningFakeServer(FakeServerConfig(timing=QUICK, faults=script)) as server:
        done = kilotoken("run", attached(tmp_path, server.url), "--out", "out")
    assert done.returncode == 0, done.stderr
    cell = only_cell(kilotoken, tmp_path / "out")
    assert cell["token_source"] == "usage"
    cost = 3.6 / 3600 / cell["output_tokens_per_s"] * 1000
    assert cell["usd_per_1k_output_tokens"] == pytest.approx(cost, rel=0.01)
    assert cell["verdict"]["throughput"] == "unreconciled"
    assert "/metrics" in cell["reason"]
    assert cell["acceptance_length"] is None
    assert cell["ttft_s"]["p50"] > 0


def test_where_the_reset_is_not_open_prompts_are_salted_apart(tmp_path: Path, kilotoken: Command) -> None:
    config = FakeServerConfig(timing=QUICK, prefix_reset_succeeds=False)
    with RunningFakeServer(config) as server:
        first = kilotoken("run", attached(tmp_path, server.url), "--out", "first")
        again = kilotoken("run", attached(tmp_path, server.url), "--out", "again")
    assert first.returncode == again.returncode == 0, first.stderr + again.stderr
    cell = only_cell(kilotoken, tmp_path / "again")
    assert cell["prefix_cache_hit_share"] == 0.0, "the same prompts were asked before, under another salt"
    assert "cache_contaminated" not in (cell["verdict"]["throughput"], cell["verdict"]["tails"])


def test_an_address_that_is_no_openai_server_is_told(tmp_path: Path, kilotoken: Command) -> None:
    for status, body in ((200, b'{"hello": "world"}'), (404, b"not here"), (200, b"<html>")):
        with answering(status, body) as url:
            done = kilotoken("run", attached(tmp_path, url), "--out", "out")
        assert done.returncode == 5, done.stdout + done.stderr
        assert "/v1/models" in done.stderr
        assert "OpenAI-compatible" in done.stderr
        assert "Traceback" not in done.stderr
        shutil.rmtree(tmp_path / "out")


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A web server on the loopback interface that answers everything alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_wrong_model_name_and_a_missing_key_are_told_before_any_load(
    tmp_path: Path, kilotoken: Command
) -> None:
    with RunningFakeServer(FakeServerConfig(timing=QUICK, api_key="k")) as server:
        wrong = kilotoken("run", attached(tmp_path, server.url, ", model: other, api_key_env: KEY"), KEY="k")
        assert wrong.returncode == 2
        assert "serves fake-model, not 'other'" in wrong.stderr
        unset = kilotoken("run", attached(tmp_path, server.url, ", api_key_env: NO_SUCH_KEY"))
        assert unset.returncode == 2
        assert "NO_SUCH_KEY is not set" in unset.stderr
        right = kilotoken(
            "run", attached(tmp_path, server.url, ", api_key_env: KEY"), "--out", "out", KEY="s3cret"
        )
        assert right.returncode == 5
        fine = kilotoken(
            "run", attached(tmp_path, server.url, ", api_key_env: KEY"), "--out", "fine", KEY="k"
        )
        assert fine.returncode == 0, fine.stderr


def test_nobody_there_is_told(tmp_path: Path, kilotoken: Command) -> None:
    done = kilotoken("run", attached(tmp_path, "http://127.0.0.1:9"))
    assert done.returncode == 5
    assert "Traceback" not in done.stderr
    assert "127.0.0.1:9" in done.stderr
