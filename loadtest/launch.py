"""Run Locust headless as a child for one cell and read its events. Nothing here imports Locust."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from accounting.errors import LoadError
from loadtest.config import (
    API_KEY_VARIABLE,
    EVENTS_VARIABLE,
    PARENT_VARIABLE,
    SPEC_VARIABLE,
    LoadSpec,
    write_spec,
)

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
END_GRACE_S = 10.0


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
    ) -> None:
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

    def _argv(self) -> list[str]:
        streams = str(self._spec.streams)
        return [
            *(sys.executable, "-m", "locust", "--headless", "--locustfile", str(LOCUSTFILE)),
            *("--host", self._spec.base_url, "--users", streams, "--spawn-rate", streams),
            *(
                "--stop-timeout",
                "600",
                "--only-summary",
                "--loglevel",
                "WARNING",
                "--exit-code-on-error",
                "0",
            ),
        ]

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
        child = self._child
        if child is not None and child.poll() is None:
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=END_GRACE_S / 5)
            if child.poll() is None:
                child.kill()
                child.wait()
        if self._read_fd >= 0:
            os.close(self._read_fd)
            self._read_fd = -1
