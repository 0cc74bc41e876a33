"""A small process between us and the server that ends the server's whole tree when we die.

Run as `python -m serving.supervisor LOG -- ARGV...`. Its standard input is a pipe that the parent never
writes to: end-of-file means that the parent is gone, `kill -9` included, and the tree is ended. SIGTERM
asks for the same. It is the reaper of orphaned descendants (PR_SET_CHILD_SUBREAPER), so vLLM's engine and
worker processes cannot escape by losing their parent, and the server gets a parent-death signal, so it
does not outlive a killed supervisor.

On standard output it says, one JSON object a line: `{"pid": ...}` once the server was started and
`{"exit": code}` when it has ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

GRACE_S = 8.0
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _die_with_parent() -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _say(**message: object) -> None:
    # A parent that died takes the pipe with it; the tree must be ended all the same.
    with contextlib.suppress(OSError):
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def end_tree(grace_s: float = GRACE_S) -> None:
    """End every descendant of this process: SIGTERM, a grace period, SIGKILL until none is left.

    Only descendants are touched, found by process id, never by name.
    """
    myself = psutil.Process()
    for child in myself.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.terminate()
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline and _alive(myself):
        _reap()
        time.sleep(0.05)
    while left := _alive(myself):
        for child in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        _reap()
        time.sleep(0.02)
    _reap()


def _alive(process: psutil.Process) -> list[psutil.Process]:
    alive = []
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.status() != psutil.STATUS_ZOMBIE:
                alive.append(child)
    return alive


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _wait_for_end(server: subprocess.Popen[bytes], wake: int) -> int | None:
    """Wait until the server ended (its status), or until we should end it (None)."""
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while True:
            code = server.poll()
            if code is not None:
                return code
            for key, _ in selector.select(timeout=0.2):
                if key.fd == wake or not os.read(key.fd, 4096):
                    return None


def main(arguments: list[str]) -> int:
    """Start, watch and end one server. Returns 0 when the tree has ended."""
    log, separator, *argv = arguments
    if separator != "--" or not argv:
        raise SystemExit("usage: python -m serving.supervisor LOG -- ARGV...")
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    read_end, write_end = os.pipe()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: os.write(write_end, b"x"))
    with Path(log).open("ab") as log_file:
        server = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    _say(pid=server.pid)
    code = _wait_for_end(server, read_end)
    if code is None:
        end_tree()  # `exit: null` then says that the end was ours
    else:
        end_tree(grace_s=1.0)
    _say(exit=code)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
