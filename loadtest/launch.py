"""Run Locust as a child for one cell and read its events. Nothing here imports Locust.

One process, or Locust's own master and workers: `processes` of them forked on this machine, or started by hand
elsewhere (`Distribution.by_hand`), with Locust's web page beside them if asked for.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from accounting.errors import LoadError
from loadtest.config import (
    API_KEY_VARIABLE,
    EVENTS_VARIABLE,
    PARENT_VARIABLE,
    RECORDS_VARIABLE,
    SPEC_VARIABLE,
    LoadSpec,
    write_spec,
)

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
END_GRACE_S = 10.0
# A user ends by itself when the records are saved or the cell has failed; this is for one that cannot.
STOP_TIMEOUT_S = "5"


@dataclass(frozen=True, slots=True)
class Distribution:
    """How the load's processes find one another. `by_hand`: workers are started elsewhere and connect to `bind`."""

    by_hand: bool = False
    bind: tuple[str, int] = ("127.0.0.1", 0)  # the master's address; port 0 takes a free one
    web_port: int | None = None  # Locust's page on the loopback interface


class LoadProcess:
    """A Locust child. Use as a context manager: leaving it ends the child."""

    def __init__(
        self,
        spec: LoadSpec,
        *,
        spec_path: Path,
        log_path: Path,
        api_key: str | None = None,
        environment: Mapping[str, str] | None = None,
        distribution: Distribution = Distribution(),
    ) -> None:
        self._distribution = distribution
        self._spec = spec
        self._spec_path = spec_path
        self._log_path = log_path
        self._api_key = api_key
        self._environment = os.environ if environment is None else environment
        self._child: subprocess.Popen[bytes] | None = None
        self._read_fd = -1
        self._buffer = b""

    def __enter__(self) -> Self:
        """Start the child."""
        write_spec(self._spec, self._spec_path)
        self._read_fd, write_fd = os.pipe()
        environment = {
            **self._environment,
            SPEC_VARIABLE: str(self._spec_path),
            EVENTS_VARIABLE: str(write_fd),
            PARENT_VARIABLE: str(os.getpid()),
            "PYTHONSAFEPATH": "1",
            **({API_KEY_VARIABLE: self._api_key} if self._api_key else {}),
        }
        with self._log_path.open("wb") as log:
            self._child = subprocess.Popen(
                self._argv(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                pass_fds=(write_fd,),
                start_new_session=True,
            )
        os.close(write_fd)
        return self

    @property
    def pid(self) -> int | None:
        """Process id of the child, once it was started: its CPU time is ours, not the host's noise."""
        return self._child.pid if self._child is not None else None

    def _argv(self) -> list[str]:
        users = str(self._spec.processes)
        return [
            *(sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE)),
            *("--host", self._spec.base_url, "--users", users, "--spawn-rate", users),
            *self._web_arguments(),
            *self._master_arguments(),
            *("--stop-timeout", STOP_TIMEOUT_S, "--only-summary", "--loglevel", "WARNING"),
            *("--exit-code-on-error", "0"),
        ]

    def _web_arguments(self) -> list[str]:
        port = self._distribution.web_port
        if port is None:
            return ["--headless"]
        return ["--autostart", "--web-host", "127.0.0.1", "--web-port", str(port)]

    def _master_arguments(self) -> list[str]:
        processes, by_hand = self._spec.processes, self._distribution.by_hand
        if processes == 1 and not by_hand:
            return []
        host, port = self._distribution.bind
        port = port or _free_port()
        bind = ["--master-bind-host", host, "--master-bind-port", str(port)]
        if by_hand:
            return ["--master", "--expect-workers", str(processes), *bind]
        return ["--processes", str(processes), "--master-port", str(port), *bind]

    def events(self, *, every_s: float) -> Iterator[dict[str, Any] | None]:
        """Yield the child's events; None at least every `every_s` seconds, so the caller can do its rounds.

        Ends when the child has closed its pipe.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self._read_fd, selectors.EVENT_READ)
            while True:
                if not selector.select(timeout=every_s):
                    yield None
                    continue
                received = os.read(self._read_fd, 65536)
                if not received:
                    return
                *lines, self._buffer = (self._buffer + received).split(b"\n")
                for line in lines:
                    yield msgspec.json.decode(line)

    def finish(self) -> None:
        """Wait for the child's end after its pipe has closed.

        Raises:
            LoadError: if it ended badly; the details are its last log lines.
        """
        assert self._child is not None
        try:
            code = self._child.wait(timeout=END_GRACE_S)
        except subprocess.TimeoutExpired:
            code = -1
        if code != 0:
            tail = "\n".join(self._log_path.read_text(errors="replace").splitlines()[-20:])
            raise LoadError(f"the load generator ended with status {code}", details=tail)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the child, if it still runs."""
        if self._child is not None:
            _end([self._child])
        if self._read_fd >= 0:
            os.close(self._read_fd)
            self._read_fd = -1


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def worker_processes(host: str, port: int, *, processes: int, api_key: str | None) -> None:
    """Run workers for a master elsewhere until it sends them away.

    Raises:
        LoadError: if they end badly.
    """
    with tempfile.TemporaryDirectory(prefix="kilotoken-worker-") as records:
        environment = {
            **os.environ,
            RECORDS_VARIABLE: records,
            PARENT_VARIABLE: str(os.getpid()),
            "PYTHONSAFEPATH": "1",
        }
        environment |= {API_KEY_VARIABLE: api_key} if api_key else {}
        argv = [
            *(sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--worker"),
            *("--master-host", host, "--master-port", str(port), "--loglevel", "WARNING"),
        ]
        # Children of ours, each by itself: Locust's own `--processes` puts a process between that does not notice
        # when we are killed. In a session of their own, so that Ctrl-C comes to them from us, once.
        workers = [
            subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
            for _ in range(processes)
        ]
        try:
            codes = [worker.wait() for worker in workers]
        finally:
            _end(workers)
    if bad := [code for code in codes if code != 0]:
        raise LoadError(
            f"{len(bad)} of {processes} workers ended with status {bad[0]}",
            hint=f"Is the load at {host}:{port} still there?",
        )


def _end(children: Sequence[subprocess.Popen[bytes]]) -> None:
    """End what still runs: asked first, so that it can tell the master."""
    running = [child for child in children if child.poll() is None]
    for child in running:
        child.terminate()
    for child in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=END_GRACE_S / 5)
        if child.poll() is None:
            child.kill()
            child.wait()
