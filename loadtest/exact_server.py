"""A server that answers at exact instants, compiled on the spot: what a client is measured against.

The truth about each answer is the server's own: how late it wrote what was due (`Lateness`), and for scripted
requests the instant of every write (`Written`), both on CLOCK_MONOTONIC. See `exact_server.c`.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from accounting.errors import MachineError

SOURCE = Path(__file__).with_name("exact_server.c")
MODEL = "exact"
_FLAGS = ("-O2", "-std=gnu11")
_COMPILERS = ("cc", "gcc", "clang")
_PAGE_TIMEOUT_S = 10.0


class LatenessSummary(msgspec.Struct, frozen=True):
    """How late tokens were written, in milliseconds after their deadline; None where there were none."""

    count: int
    p50: float | None
    p99: float | None
    max: float | None


class Lateness(msgspec.Struct, frozen=True, kw_only=True):
    """What the server knows of itself since its start or the last reset."""

    ttft_ms: float
    interval_ms: float
    tokens_per_chunk: int
    window_s: float
    cpu_s: float
    requests: int
    answers: int  # complete ones
    aborted: int  # the client closed the connection in mid-answer
    tokens: int
    writes: int
    blocked_writes: int  # the client's window was full: the bytes waited after their instant
    unstamped_requests: int  # without a kernel stamp: their clock started when the server read them
    connections: int
    peak_streams: int
    scheduling: str  # how it gets its processor: real_time where that is permitted, short_slices, default
    first_token_lateness_ms: LatenessSummary
    token_lateness_ms: LatenessSummary  # all but first tokens


class Written(msgspec.Struct, frozen=True):
    """When the tokens of one scripted answer were written. CLOCK_MONOTONIC, seconds."""

    answer: int
    received_s: float  # the kernel had the request's last bytes
    tokens: tuple[int, ...]  # cumulative, one entry per event
    written_s: tuple[float, ...]


def compiled_server(cache_dir: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """The server's executable in `cache_dir`, compiled there if this source has not been yet.

    Raises:
        MachineError: this is not Linux, there is no C compiler ($CC, cc, gcc, clang), or it fails.
    """
    if sys.platform != "linux":
        raise MachineError("the exact-timing server needs Linux: epoll, timerfd and kernel receive stamps.")
    source = SOURCE.read_bytes()
    key = hashlib.sha256(
        b"\0".join([source, *(flag.encode() for flag in _FLAGS), platform.machine().encode()])
    )
    executable = cache_dir / f"exact_server-{key.hexdigest()[:16]}"
    if executable.exists():
        return executable
    compiler = _compiler(environment)
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_dir, prefix=".compiling-") as scratch:
            made = Path(scratch) / "exact_server"
            done = subprocess.run(
                [compiler, *_FLAGS, "-o", str(made), str(SOURCE)], capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                raise MachineError(
                    f"{compiler} cannot compile the exact-timing server (status {done.returncode}).",
                    hint="It needs a C compiler with glibc's and Linux's headers (Debian: gcc and libc6-dev).",
                    details=done.stderr.strip(),
                )
            made.replace(executable)
    except OSError as error:
        raise MachineError(
            f"the exact-timing server cannot be compiled in {cache_dir}: {error.strerror or error}.",
            hint="Set KILOTOKEN_CACHE to a directory that can be written.",
        ) from error
    return executable


def _compiler(environment: Mapping[str, str]) -> str:
    wanted = [chosen] if (chosen := environment.get("CC")) else list(_COMPILERS)
    for name in wanted:
        if found := shutil.which(name, path=environment.get("PATH", os.defpath)):
            return found
    raise MachineError(
        f"there is no C compiler here: looked for {', '.join(wanted)}.",
        hint="Install one (Debian: apt install gcc libc6-dev), or name it in CC.",
    )


class ExactServer:
    """The server as a child on a free loopback port. A context manager; leaving it ends the child.

    Token 1 is due `ttft_ms` after the request, token k (k-1) x `interval_ms` later; the first event carries one
    token, every later one `tokens_per_chunk`. How many tokens an answer has is the request's `max_tokens`.
    """

    def __init__(
        self,
        cache_dir: Path,
        *,
        ttft_ms: float = 50.0,
        interval_ms: float = 20.0,
        tokens_per_chunk: int = 1,
        port: int = 0,
    ) -> None:
        self._executable = compiled_server(cache_dir)
        self._settings = {
            "--ttft-ms": ttft_ms,
            "--interval-ms": interval_ms,
            "--tokens-per-chunk": tokens_per_chunk,
            "--port": port,
            "--model": MODEL,
        }
        self._child: subprocess.Popen[bytes] | None = None
        self._port = port

    @property
    def url(self) -> str:
        """Base address, without a path."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The child's process id."""
        assert self._child is not None
        return self._child.pid

    def __enter__(self) -> Self:
        """Start the child and learn its port.

        Raises:
            MachineError: it did not start.
        """
        argv = [str(self._executable), *(str(part) for pair in self._settings.items() for part in pair)]
        self._child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            _, complaint = self._child.communicate()
            raise MachineError(
                "the exact-timing server did not start.", details=complaint.decode(errors="replace").strip()
            )
        self._port = msgspec.json.decode(line, type=dict[str, int])["port"]
        return self

    def lateness(self) -> Lateness:
        """What the server has counted since its start or the last reset."""
        return msgspec.json.decode(self._page("GET", "/lateness"), type=Lateness)

    def reset_lateness(self) -> Lateness:
        """Begin counting anew; gives what was counted before."""
        return msgspec.json.decode(self._page("POST", "/lateness/reset"), type=Lateness)

    def written(self) -> tuple[Written, ...]:
        """When each token of the last 64 scripted answers was written, oldest first."""
        return msgspec.json.decode(self._page("GET", "/written"), type=tuple[Written, ...])

    def _page(self, method: str, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PAGE_TIMEOUT_S)
        with contextlib.closing(connection):
            connection.request(method, path, headers={"Connection": "close"})
            return connection.getresponse().read()

    def stop(self) -> None:
        """End the child, if it runs."""
        child = self._child
        if child is None:
            return
        self._child = None
        child.terminate()
        try:
            child.communicate(timeout=_PAGE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the child."""
        self.stop()


def scripted_model(*steps: str) -> str:
    """A model name that carries a script, e.g. `scripted_model("late=5:700", "chunk=9:3")`; none: only recorded."""
    return f"{MODEL}#{';'.join(steps) or 'record'}"
