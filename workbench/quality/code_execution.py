"""Judges model-written code by running it: one child process per program, closed in, timed and then gone."""

from __future__ import annotations

import json
import os
import platform
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from accounting.errors import MachineError

_CHILD = Path(__file__).with_name("code_child.py")
_MOST_OUTPUT_BYTES = 8192


@dataclass(frozen=True, slots=True)
class CodeLimits:
    """What one program may use: seconds of wall time and of processor time, bytes of address space."""

    wall_s: float = 10.0
    cpu_s: int = 8
    memory_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class CodeVerdict:
    """Whether the program ran to its end, and if not why."""

    passed: bool
    why: str


def check_can_close_in() -> None:
    """Raise MachineError where model-written code could not be closed in."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise MachineError(
            f"model-written code is closed in by a filter for x86-64 Linux; this is {platform.machine()} {sys.platform}.",
            hint="Take a set that runs no code, such as gsm8k.",
        )
    verdict = run_program("pass")
    if not verdict.passed:
        raise MachineError(
            f"model-written code cannot be closed in on this machine ({verdict.why}), so none is run.",
            hint="Take a set that runs no code, such as gsm8k.",
        )


def run_program(program: str, limits: CodeLimits = CodeLimits()) -> CodeVerdict:
    """Execute a Python program in a child without network, processes, signals or writing; see `code_child`."""
    token = secrets.token_hex(16)
    job = {"program": program, "token": token, "cpu_s": limits.cpu_s, "memory_bytes": limits.memory_bytes}
    with tempfile.TemporaryDirectory(prefix="kilotoken-code-") as directory:
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=directory,
            env={"PATH": os.defpath, "PYTHONHASHSEED": "0"},  # nothing of ours, such as keys
            start_new_session=True,
        )
        try:
            output, in_time = _converse(child, json.dumps(job).encode(), limits.wall_s)
        finally:
            child.kill()  # it has no children: the filter lets it make none
            status = child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()
    return _verdict(output, token, in_time=in_time, status=status, limits=limits)


def _converse(child: subprocess.Popen[bytes], job: bytes, wall_s: float) -> tuple[bytes, bool]:
    """Hand the job over and read until the end, the limit of bytes or the deadline."""
    assert child.stdin is not None
    assert child.stdout is not None
    deadline = time.monotonic() + wall_s
    try:
        child.stdin.write(job)
        child.stdin.close()
    except BrokenPipeError:
        return b"", True
    output = b""
    while len(output) < _MOST_OUTPUT_BYTES:
        ready, _, _ = select.select([child.stdout], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return output, False
        part = os.read(child.stdout.fileno(), 4096)
        if not part:
            break
        output += part
    return output, True


def _verdict(output: bytes, token: str, *, in_time: bool, status: int, limits: CodeLimits) -> CodeVerdict:
    try:
        said = json.loads(output)
        if said["token"] == token:
            return CodeVerdict(said["passed"] is True, str(said["why"]))
    except (ValueError, KeyError, TypeError):
        pass  # not a verdict: the program ended its process, or wrote into it
    if not in_time:
        return CodeVerdict(False, f"not done within {limits.wall_s:g} s")
    if status == -signal.SIGXCPU:
        return CodeVerdict(False, f"not done within {limits.cpu_s} s of processor time")
    return CodeVerdict(False, "ended without a verdict")
