"""Where our client's time goes: py-spy's samples of the load process, added up by function."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from benchmarks.load_client_peers import environment_from

RATE_PER_S = 250
BEGIN_AFTER_S = 8.0  # start-up and warm-up
_LINE = re.compile(r":\d+\)$")


class ProfileOf:
    """Attaches the profiler to the load process once it is under load."""

    def __init__(self, cache: Path, output: Path, seconds: float) -> None:
        python = environment_from("py-spy.txt")(cache)
        self._spy = python.with_name("py-spy") if isinstance(python, Path) else None
        self._missing = "" if isinstance(python, Path) else python
        self._output, self._seconds = output, seconds
        self._child: subprocess.Popen[bytes] | None = None

    def poll(self, root: psutil.Process, elapsed_s: float) -> None:
        """Called while the client runs."""
        if self._spy is None or self._child is not None or elapsed_s < BEGIN_AFTER_S:
            return
        for process in root.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "locust" in process.cmdline():
                    self._child = subprocess.Popen(
                        [
                            *(
                                str(self._spy),
                                "record",
                                "--format",
                                "raw",
                                "--nonblocking",
                                "--rate",
                                str(RATE_PER_S),
                            ),
                            *("--duration", f"{self._seconds:g}", "--output", str(self._output)),
                            *("--pid", str(process.pid)),
                        ],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                    )
                    return

    def result(self) -> dict[str, Any]:
        """Shares of the busy samples: by the function that ran, and by every function that was being called."""
        if self._child is None:
            return {"not_measured": self._missing or "no load process was found"}
        self._child.wait(timeout=60)
        if not self._output.exists():
            return {
                "not_measured": "py-spy could not attach (it needs ptrace: root, or kernel.yama.ptrace_scope=0)"
            }
        own, within, total = shares(self._output.read_text())
        return {
            "samples": total,
            "rate_per_s": RATE_PER_S,
            "busy_share": total / (RATE_PER_S * self._seconds),
            "own": own,
            "within": within,
        }


def shares(raw: str, *, most: int = 25) -> tuple[dict[str, float], dict[str, float], int]:
    """From `a;b;c count` lines: share of samples in which a function ran itself, was on the stack, and all samples."""
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [_function(frame) for frame in stack.split(";")]
        own[frames[-1]] += int(count)
        for name in set(frames):
            within[name] += int(count)
    total = sum(own.values())
    return (
        {name: count / total for name, count in own.most_common(most)},
        {name: count / total for name, count in within.most_common(most)},
        total,
    )


def _function(frame: str) -> str:
    """`run (loadtest/x.py:12)` without the line, and without where packages are installed."""
    frame = _LINE.sub(")", frame)
    name, _, place = frame.partition(" (")
    return f"{name} ({'/'.join(Path(place.rstrip(')')).parts[-2:])})" if place else name


def profile_lines(document: dict[str, Any]) -> None:
    """Print the shares."""
    if "not_measured" in document:
        print(f"not measured, because {document['not_measured']}")
        return
    print(
        f"{document['machine']}: {document['streams']} streams, busy {document['busy_share']:.0%} of the time"
    )
    for heading, name in (("ran itself", "own"), ("on the stack", "within")):
        print(f"\n{heading}")
        for function, share in document[name].items():
            print(f"  {share:6.1%}  {function}")
