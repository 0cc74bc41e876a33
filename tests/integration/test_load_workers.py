"""`kilotoken load --workers N` with workers started by hand: they may come late, leave, be one too many, or die."""

import json
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from accounting.records import Phase, RequestRecord
from loadtest.request_store import read_records
from serving.fake_server import FakeServerConfig, RunningFakeServer, Timing
from serving.free_port import free_port
from tests.integration.processes import wait_for

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Process = subprocess.Popen
Start = Callable[..., "subprocess.Popen[str]"]
SHORT = ("--warm-up", 0.3, "--max-tokens", 8)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with RunningFakeServer(FakeServerConfig(timing=Timing(ttft_s=0.01, tpot_s=0.003))) as running:
        yield running.url


@pytest.fixture
def meeting() -> str:
    return f"127.0.0.1:{free_port()}"


def until(child: "Process[str]", beginning: str) -> None:
    """Read the child's output up to a line that begins so."""
    lines = []
    for line in child.stdout or ():
        lines.append(line)
        if line.startswith(beginning):
            return
    raise AssertionError(f"no line begins with {beginning!r}: {''.join(lines)}")


def waiting(started: Start, server: str, meeting: str, workers: int, *arguments: object) -> "Process[str]":
    load = started(
        "load", "--url", server, "--workers", workers, "--bind", meeting, *SHORT, "--out", "out", *arguments
    )  # fmt: skip
    until(load, f"waiting for {workers} workers: kilotoken load-worker {meeting}")
    return load


def is_connected(child: "Process[str]", meeting: str) -> bool:
    port = int(meeting.rpartition(":")[2])
    return any(
        c.status == psutil.CONN_ESTABLISHED and c.raddr and c.raddr.port == port
        for p in psutil.Process(child.pid).children(recursive=True)
        for c in p.net_connections()
    )


def measured(out: Path) -> list[RequestRecord]:
    return [r for r in read_records(out / "requests.parquet") if r.phase is Phase.MEASURED]


def test_workers_share_a_load_whoever_came_and_left_before(
    server: str, meeting: str, tmp_path: Path, started: Start
) -> None:
    load = waiting(started, server, meeting, 2, "--rate", 40, "--requests", 30)
    left = started("load-worker", meeting)
    wait_for(lambda: is_connected(left, meeting))
    left.send_signal(signal.SIGINT)
    output, _ = left.communicate(timeout=20)
    assert left.returncode == 130, output
    lent = started("load-worker", meeting, "--processes", 2)
    output, _ = load.communicate(timeout=60)
    assert load.returncode == 0, output
    said, _ = lent.communicate(timeout=30)
    assert lent.returncode == 0, said
    assert "Traceback" not in said
    records = measured(tmp_path / "out")
    assert len(records) == 30
    assert {r.worker for r in records} == {0, 1}
    assert len({r.prompt_id for r in records}) == 30
    parts = json.loads((tmp_path / "out/cell.json").read_text())["load_processes"]
    assert [(part["worker"], part["same_machine"], part["offset_s"]) for part in parts] == [
        (0, True, 0.0),
        (1, True, 0.0),
    ]
    assert not (tmp_path / "out/records").exists(), "the parts are gathered into one file"


def test_a_worker_that_is_killed_ends_the_load_and_the_other_worker(
    server: str, meeting: str, started: Start
) -> None:
    load = waiting(started, server, meeting, 2, "--streams", 4, "--duration", 60)
    first, second = started("load-worker", meeting), started("load-worker", meeting)
    until(load, "window")
    (locust,) = psutil.Process(first.pid).children()
    first.kill()
    wait_for(lambda: not locust.is_running() or locust.status() == psutil.STATUS_ZOMBIE)
    output, _ = load.communicate(timeout=40)
    assert load.returncode == 6
    assert f"1 of 2 load processes have gone, on {socket.gethostname()}" in output
    assert "Traceback" not in output
    second.communicate(timeout=30)
    assert second.returncode == 0


def test_workers_go_home_when_the_load_is_stopped(server: str, meeting: str, started: Start) -> None:
    load = waiting(started, server, meeting, 1, "--streams", 2, "--duration", 60)
    worker = started("load-worker", meeting)
    until(load, "window")
    load.send_signal(signal.SIGINT)
    output, _ = load.communicate(timeout=30)
    assert load.returncode == 130, output
    said, _ = worker.communicate(timeout=30)
    assert "Traceback" not in said
