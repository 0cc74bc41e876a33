"""Starting Locust for one cell: its command line, its events, its end, whatever it does."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from accounting.errors import LoadError
from loadtest.config import API_KEY_VARIABLE, EVENTS_VARIABLE, SPEC_VARIABLE
from loadtest.launch import Distribution, LoadProcess, worker_processes
from loadtest.load_spec_examples import load_spec

SECRET = "sk-not-for-argv"
EMIT = f"import os; pipe = int(os.environ['{EVENTS_VARIABLE}']); "


@pytest.fixture
def launch(tmp_path: Path) -> Callable[..., LoadProcess]:
    """A load process whose child is this Python code, or with "" Locust."""

    def make(code: str = "", *, processes: int = 1, distribution: Distribution | None = None) -> LoadProcess:
        load = LoadProcess(
            load_spec(processes=processes),
            spec_path=tmp_path / "load.json",
            log_path=tmp_path / "load.log",
            api_key=SECRET,
            distribution=distribution or Distribution(),
        )
        if code:
            load._argv = lambda: [sys.executable, "-c", code]  # type: ignore[method-assign]
        return load

    return make


def test_one_process_is_master_and_worker_in_one(launch: Callable[..., LoadProcess]) -> None:
    argv = launch()._argv()
    assert "--headless" in argv
    assert not [word for word in argv if "master" in word or "processes" in word]
    assert argv[argv.index("--users") + 1] == "1"


def test_several_processes_meet_at_one_free_port_of_the_loopback(launch: Callable[..., LoadProcess]) -> None:
    argv = launch(processes=3)._argv()
    assert argv[argv.index("--processes") + 1] == "3"
    assert argv[argv.index("--users") + 1] == "3"
    assert argv[argv.index("--master-bind-host") + 1] == "127.0.0.1"
    assert argv[argv.index("--master-port") + 1] == argv[argv.index("--master-bind-port") + 1] != "0"


def test_workers_by_hand_are_waited_for_even_if_it_is_one(launch: Callable[..., LoadProcess]) -> None:
    argv = launch(distribution=Distribution(by_hand=True, bind=("10.0.0.5", 5557), web_port=8089))._argv()
    assert "--master" in argv
    assert argv[argv.index("--expect-workers") + 1] == "1"
    assert argv[argv.index("--master-bind-host") + 1] == "10.0.0.5"
    assert argv[argv.index("--web-host") + 1] == "127.0.0.1", "the page has no password"
    assert "--autostart" in argv
    assert "--headless" not in argv


def test_events_arrive_whole_however_they_are_split(launch: Callable[..., LoadProcess]) -> None:
    code = EMIT + (
        'import time; os.write(pipe, b\'{"event": "a"}\\n{"ev\'); time.sleep(0.3); '
        'os.write(pipe, b\'ent": "b"}\\n\')'
    )
    with launch(code) as load:
        heard = list(load.events(every_s=0.05))
        load.finish()
    assert [event["event"] for event in heard if event] == ["a", "b"]
    assert None in heard, "the caller does its rounds meanwhile"


def test_the_key_is_in_the_environment_alone(launch: Callable[..., LoadProcess], tmp_path: Path) -> None:
    code = EMIT + (
        "import json; os.write(pipe, json.dumps({'event': 'told', 'spec': os.environ"
        f"['{SPEC_VARIABLE}'], 'key': os.environ['{API_KEY_VARIABLE}']}}).encode() + b'\\n')"
    )
    with launch(code) as load:
        (told,) = [event for event in load.events(every_s=1.0) if event]
    assert told["key"] == SECRET
    assert SECRET not in Path(told["spec"]).read_text()
    assert SECRET not in " ".join(launch()._argv())


def test_a_child_that_ends_badly_is_an_error_with_its_last_words(launch: Callable[..., LoadProcess]) -> None:
    with launch("import sys; print('out of luck'); sys.exit(3)") as load:
        assert [event for event in load.events(every_s=1.0) if event] == []
        with pytest.raises(LoadError) as raised:
            load.finish()
    assert "ended with status 3" in raised.value.message
    assert "out of luck" in raised.value.details


@pytest.mark.parametrize("obedient", [True, False])
def test_leaving_ends_the_child_whether_it_listens_or_not(
    obedient: bool, launch: Callable[..., LoadProcess]
) -> None:
    ignore = "" if obedient else "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    code = EMIT + ignore + 'os.write(pipe, b\'{"event": "up"}\\n\'); import time; time.sleep(600)'
    with launch(code) as load:
        assert next(event for event in load.events(every_s=1.0) if event) == {"event": "up"}
        child = psutil.Process(load.pid)
    assert not child.is_running()


def test_workers_that_fail_are_told_with_their_master(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(LoadError) as raised:
        worker_processes("127.0.0.1", 5557, processes=2, api_key=None)
    assert "2 of 2 workers ended with status 1" in raised.value.message
    assert "127.0.0.1:5557" in raised.value.hint


def test_workers_end_with_the_command_that_started_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sleeper = tmp_path / "sleeper"
    sleeper.write_text("#!/bin/sh\nexec sleep 600\n")
    sleeper.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(sleeper))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(KeyboardInterrupt):
            worker_processes("127.0.0.1", 5557, processes=2, api_key=None)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not [child for child in psutil.Process().children() if "600" in child.cmdline()]
