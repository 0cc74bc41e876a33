"""What a client cost while it ran: CPU and memory of its whole process tree, against the tokens that the server sent.

Start-up, warm-up and evaluation are left out: CPU and tokens are taken over the middle half of the last `duration_s`
before the last token, which is the same rule for every client.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from loadtest.exact_server import ExactServer, Lateness

POLL_S = 0.5


@dataclass
class Watched:
    """A client's run. Series by poll: seconds (monotonic), tokens, CPU seconds, bytes, seconds of the whole machine."""

    at_s: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    client_cpu_s: list[float] = field(default_factory=list)
    server_cpu_s: list[float] = field(default_factory=list)
    busy_s: list[float] = field(default_factory=list)
    rss_bytes: list[int] = field(default_factory=list)
    largest_rss_bytes: list[int] = field(default_factory=list)
    truth: Lateness | None = None  # since the streams were all there for a while
    exit_code: int | None = None

    def middle(self, duration_s: float) -> tuple[float, float]:
        """Edges of the middle half of the measured phase."""
        tokens = np.array(self.tokens)
        moving = np.flatnonzero(np.diff(tokens) > 0)
        if not len(moving):
            raise ValueError("the server sent no token")
        end_s = self.at_s[int(moving[-1]) + 1]
        return end_s - 0.75 * duration_s, end_s - 0.25 * duration_s

    def between(self, series: list[Any], start_s: float, end_s: float) -> float:
        """How much a rising series rose between two instants."""
        first, last = np.interp([start_s, end_s], self.at_s, series)
        return float(last - first)


def watch(
    argv: list[str],
    environment: dict[str, str],
    server: ExactServer,
    *,
    streams: int,
    settle_s: float,
    limit_s: float,
    log: Path,
    on_poll: Callable[[psutil.Process, float], None] = lambda _process, _elapsed_s: None,
) -> Watched:
    """Run a client to its end, or for `limit_s`. The server counts anew once all streams have been there `settle_s`."""
    watched = Watched()
    with log.open("wb") as output:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )
        try:
            _follow(child, server, watched, streams, settle_s, limit_s, on_poll)
        finally:
            if child.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    watched.exit_code = child.returncode
    return watched


def _follow(
    child: subprocess.Popen[bytes],
    server: ExactServer,
    watched: Watched,
    streams: int,
    settle_s: float,
    limit_s: float,
    on_poll: Callable[[psutil.Process, float], None],
) -> None:
    root, served = psutil.Process(child.pid), psutil.Process(server.pid)
    started_s = time.monotonic()
    full_s: float | None = None
    before = 0
    settled = False
    cpu_of: dict[int, float] = {}
    while child.poll() is None and time.monotonic() - started_s < limit_s:
        time.sleep(POLL_S)
        with contextlib.suppress(psutil.Error):
            _sample_tree(root, cpu_of, watched)
            watched.truth = server.lateness()
            watched.at_s.append(time.monotonic())
            watched.tokens.append(before + watched.truth.tokens)
            watched.client_cpu_s.append(sum(cpu_of.values()))
            times = served.cpu_times()
            watched.server_cpu_s.append(times.user + times.system)
            watched.busy_s.append(_busy_s())
            on_poll(root, time.monotonic() - started_s)
        if watched.truth is not None and full_s is None and watched.truth.peak_streams >= streams:
            full_s = time.monotonic()
        if full_s is not None and not settled and time.monotonic() - full_s >= settle_s:
            settled = True
            before += server.reset_lateness().tokens
    watched.truth = server.lateness()


def _sample_tree(root: psutil.Process, cpu_of: dict[int, float], watched: Watched) -> None:
    """Add up the living; the dead keep what they had used when last seen."""
    rss = []
    for process in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            cpu_of[process.pid] = times.user + times.system
            rss.append(process.memory_info().rss)
    watched.rss_bytes.append(sum(rss))
    watched.largest_rss_bytes.append(max(rss, default=0))


def _busy_s() -> float:
    """CPU seconds that the whole machine has been busy for its programs."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)
