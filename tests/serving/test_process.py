import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from accounting.errors import ServerError
from serving.command import ServerCommand
from serving.endpoints import ServerEndpoints
from serving.free_port import free_port
from serving.process import ServerProcess


def fake_command(port: int, *arguments: str) -> ServerCommand:
    argv = (sys.executable, "-m", "serving.fake_server", "--port", str(port), *arguments)
    return ServerCommand(argv, {})


@contextmanager
def fake(tmp_path: Path, *arguments: str) -> Iterator[ServerProcess]:
    port = free_port()
    process = ServerProcess(
        fake_command(port, *arguments), base_url=f"http://127.0.0.1:{port}", log_path=tmp_path / "server.log"
    )
    with process:
        yield process


def eventually(condition: Callable[[], bool], within_s: float = 15.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_server_starts_answers_and_is_gone_afterwards(tmp_path: Path) -> None:
    stages: list[str] = []
    with fake(tmp_path) as process:
        took_s = process.wait_until_healthy(30, report=lambda stage, _elapsed: stages.append(stage))
        pid = process.pid
        assert pid is not None
        assert os.getpgid(pid) == pid, "the server has a process group of its own"
        assert 0 < took_s < 30
        with ServerEndpoints(process.base_url) as endpoints:
            assert endpoints.model_names() == ["fake-model"]
            assert endpoints.reset_prefix_cache()
    assert gone(pid)
    assert process.ended is not None
    assert stages


def test_a_server_killed_by_hand_is_said_to_have_been_killed(tmp_path: Path) -> None:
    with fake(tmp_path) as process:
        process.wait_until_healthy(30)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        assert eventually(lambda: process.ended is not None)
        with pytest.raises(ServerError, match="was killed by SIGKILL") as caught:
            process.check_alive("in mid-cell")
    assert "in mid-cell" in caught.value.message
    assert "Application startup complete" in caught.value.details


def test_a_server_that_dies_while_loading_tells_the_cause_first(tmp_path: Path) -> None:
    with fake(tmp_path, "--no-such-flag") as process, pytest.raises(ServerError) as caught:
        process.wait_until_healthy(30)
    assert "exited with status 2 while it was loading" in caught.value.message
    assert "unrecognized arguments: --no-such-flag" in caught.value.message
    assert "server.log" in caught.value.hint


def test_a_server_that_never_gets_healthy_meets_the_deadline(tmp_path: Path) -> None:
    script = '[{"kind": "not_ready", "for_s": 60}]'
    with (
        fake(tmp_path, "--faults", script) as process,
        pytest.raises(ServerError, match="not healthy after 2 s"),
    ):
        process.wait_until_healthy(2.0)


GRANDCHILD = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("child started", flush=True)
time.sleep(600)
"""

PARENT = """
import sys, time
from pathlib import Path
from serving.command import ServerCommand
from serving.process import ServerProcess
command = ServerCommand((sys.executable, "-c", Path(sys.argv[1]).read_text()), {})
process = ServerProcess(command, base_url="http://127.0.0.1:1", log_path=Path(sys.argv[2]))
process.start()
while process.pid is None:
    time.sleep(0.05)
print(process._supervisor.pid, process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("victim", ["parent", "server", "supervisor"])
def test_kill_9_of_the_parent_the_server_or_the_supervisor_leaves_no_orphan(
    tmp_path: Path, victim: str
) -> None:
    """The server here starts a child in a session of its own, as an engine's workers may."""
    script = tmp_path / "server.py"
    script.write_text(GRANDCHILD)
    log = tmp_path / "server.log"
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), str(script), str(log)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    supervisor, server = map(int, parent.stdout.readline().split())
    assert eventually(lambda: "child started" in log.read_text())
    tree = [server, *(child.pid for child in psutil.Process(server).children(recursive=True))]
    assert len(tree) == 2
    if victim == "server":
        os.kill(server, signal.SIGKILL)
        assert eventually(lambda: all(gone(pid) for pid in tree), 20), "the server's orphan is ended too"
        parent.kill()
        parent.wait()
        parent.stdout.close()
        return
    if victim == "parent":
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert eventually(lambda: all(gone(pid) for pid in [supervisor, *tree]), 20)
        return
    os.kill(supervisor, signal.SIGKILL)
    assert eventually(lambda: gone(server)), "the parent-death signal reaches the server itself"
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for pid in tree[1:]:  # a killed supervisor cannot reap; the test cleans up what it started
        if not gone(pid):
            os.kill(pid, signal.SIGKILL)
