"""One server life: start under the supervisor, wait until healthy, watch, end.

The server runs in its own process group on the loopback interface and logs to a file. Whatever happens to
this process, the supervisor ends the server's whole tree (see supervisor.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from accounting.errors import MachineError, ServerError
from serving.command import ServerCommand
from serving.endpoints import ServerEndpoints
from serving.failure import describe_exit, find_cause, last_lines, read_log
from serving.startup_stage import latest_stage

SUPERVISOR_GRACE_S = 20.0


@dataclass(frozen=True, slots=True)
class ServerExit:
    """The server ended: its exit status (negative: killed by that signal), None if we ended it."""

    code: int | None


class ServerProcess:
    """A supervised server. Use as a context manager: leaving it ends the server's whole tree."""

    def __init__(
        self,
        command: ServerCommand,
        *,
        base_url: str,
        log_path: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.command = command
        self.base_url = base_url
        self.log_path = log_path
        self._clock = clock
        self._supervisor: subprocess.Popen[str] | None = None
        self._pid: int | None = None
        self._exit: ServerExit | None = None
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Start the server (does not wait for its health)."""
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the server's whole tree."""
        self.stop()

    @property
    def pid(self) -> int | None:
        """Process id of the server (not of the supervisor), None before it was started."""
        return self._pid

    @property
    def ended(self) -> ServerExit | None:
        """How the server ended, None while it runs."""
        return self._exit

    def start(self, *, environment: Mapping[str, str] | None = None) -> None:
        """Start supervisor and server.

        Raises:
            MachineError: if the log cannot be written or the process cannot be started.
        """
        argv = [sys.executable, "-m", "serving.supervisor", str(self.log_path), "--", *self.command.argv]
        merged = {**(os.environ if environment is None else environment), **self.command.environment}
        try:
            self.log_path.parent.mkdir(parents=True, exist_ok=True)
            self._supervisor = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,  # Ctrl-C reaches us only; we end the server in order
                # Safe path: a folder named like one of our packages in the user's directory must not win.
                env={**merged, "PYTHONSAFEPATH": "1"},
            )
        except OSError as error:
            raise MachineError(f"the server cannot be started: {error}") from error
        self._reader = threading.Thread(target=self._read_supervisor, name="supervisor-reader", daemon=True)
        self._reader.start()

    def _read_supervisor(self) -> None:
        assert self._supervisor is not None
        assert self._supervisor.stdout is not None
        for line in self._supervisor.stdout:
            message = json.loads(line)
            if "pid" in message:
                self._pid = message["pid"]
            else:
                self._exit = ServerExit(message["exit"])
        if self._exit is None:
            self._exit = ServerExit(self._supervisor.wait())

    def wait_until_healthy(
        self, deadline_s: float, *, report: Callable[[str, float], None] = lambda _stage, _elapsed_s: None
    ) -> float:
        """Wait for /health. Returns the seconds it took; `report(stage, elapsed_s)` is called twice a second.

        Raises:
            ServerError: if the server ends first, or the deadline passes.
        """
        started = self._clock()
        with ServerEndpoints(self.base_url, timeout_s=5.0) as endpoints:
            while True:
                self.check_alive("while it was loading")
                elapsed = self._clock() - started
                if endpoints.is_healthy():
                    return elapsed
                if elapsed > deadline_s:
                    lines = read_log(self.log_path)
                    raise ServerError(
                        f"the server was not healthy after {deadline_s:g} s; "
                        f"its last stage was: {latest_stage(lines)}.",
                        hint="Raise engine.startup_deadline_s, or look at the log: " + str(self.log_path),
                        details=last_lines(lines),
                    )
                report(latest_stage(read_log(self.log_path)), elapsed)
                time.sleep(0.5)

    def check_alive(self, when: str) -> None:
        """Raise with the cause first and the last log lines below if the server has ended.

        Raises:
            ServerError: if it has.
        """
        if self._exit is None:
            return
        lines = read_log(self.log_path)
        ending = describe_exit(self._exit.code) if self._exit.code is not None else "was ended by us"
        cause = find_cause(lines)
        killed = self._exit.code is not None and self._exit.code < 0
        reason = "." if killed or not cause else f": {cause}"
        raise ServerError(
            f"the server {ending} {when}{reason}",
            hint=f"The whole log is in {self.log_path}.",
            details=last_lines(lines),
        )

    def stop(self) -> None:
        """End the server's whole tree and wait for it. Safe to call twice."""
        supervisor = self._supervisor
        if supervisor is None:
            return
        if supervisor.stdin is not None and not supervisor.stdin.closed:
            supervisor.stdin.close()  # end-of-file is the supervisor's signal
        try:
            supervisor.wait(timeout=SUPERVISOR_GRACE_S)
        except subprocess.TimeoutExpired:
            supervisor.kill()
            supervisor.wait()
        if self._reader is not None:
            self._reader.join(timeout=5.0)
        if supervisor.stdout is not None:
            supervisor.stdout.close()
