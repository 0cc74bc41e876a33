"""Runs model-written Python where it can do no harm. A program of its own: standard library, x86-64 Linux.

Reads {"program", "token", limits} from standard input, closes itself in, executes the program and writes
{"token", "passed", "why"} to standard output. The seccomp filter lets a computation through and answers everything
else with EPERM: no process, no network, no signal, no file written or removed. What the program prints is lost.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
from typing import Any

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 1, 38, 22, 2
_LOAD, _EQUAL, _AND, _RETURN = 0x20, 0x15, 0x54, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # refuse: EPERM
_AUDIT_ARCH_X86_64 = 0xC000003E
_NUMBER_AT, _ARCH_AT, _ARGUMENT_AT = 0, 4, 16  # offsets in struct seccomp_data
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

#: x86-64 numbers of the calls that computing and importing need.
_HARMLESS = (
    0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 19, 20, 21, 23, 24, 25, 28, 35, 39, 60, 63, 72,
    78, 79, 89, 96, 97, 98, 99, 100, 102, 104, 107, 108, 131, 158, 186, 201, 202, 204, 217, 218, 228, 229, 230, 231,
    262, 267, 270, 271, 273, 318, 332, 334,
)  # fmt: skip
_OPENAT, _OPEN = 257, 2  # reading only


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort), ("if_true", ctypes.c_ubyte), ("if_false", ctypes.c_ubyte),
        ("value", ctypes.c_uint),
    )  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.POINTER(_Instruction)))


def close_in(job: dict[str, Any]) -> None:
    """Limits first, then the filter, after which neither can be loosened. Raises OSError if refused."""
    for limit, value in (
        (resource.RLIMIT_AS, job["memory_bytes"]),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 32),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    # The soft limit's signal says why the program ended; the hard one ends a program that ignores it.
    resource.setrlimit(resource.RLIMIT_CPU, (job["cpu_s"], job["cpu_s"] + 1))
    libc = ctypes.CDLL(None, use_errno=True)
    # Orphans die with their judge.
    if libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0) or libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    instructions = _filter()
    array = (_Instruction * len(instructions))(*instructions)
    program = _Program(len(instructions), array)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def _filter() -> list[_Instruction]:
    code = [
        _Instruction(_LOAD, 0, 0, _ARCH_AT),
        _Instruction(_EQUAL, 1, 0, _AUDIT_ARCH_X86_64),
        _Instruction(_RETURN, 0, 0, _KILL),
        _Instruction(_LOAD, 0, 0, _NUMBER_AT),
    ]
    for number in _HARMLESS:
        code += [_Instruction(_EQUAL, 0, 1, number), _Instruction(_RETURN, 0, 0, _ALLOW)]
    for number, flags_argument in ((_OPENAT, 2), (_OPEN, 1)):
        code += [
            _Instruction(_EQUAL, 0, 5, number),
            _Instruction(_LOAD, 0, 0, _ARGUMENT_AT + 8 * flags_argument),
            _Instruction(_AND, 0, 0, _WRITING),
            _Instruction(_EQUAL, 0, 1, 0),
            _Instruction(_RETURN, 0, 0, _ALLOW),
            _Instruction(_RETURN, 0, 0, _REFUSE),
        ]
    return [*code, _Instruction(_RETURN, 0, 0, _REFUSE)]


def main() -> None:
    """One program, one verdict."""
    job = json.load(sys.stdin)
    verdict = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    passed, why = False, ""
    try:
        close_in(job)
    except (OSError, ValueError) as error:
        why = f"not closed in: {error}"
    else:
        try:
            exec(compile(job["program"], "<answer>", "exec"), {"__name__": "__main__"})
            passed = True
        except BaseException as error:  # noqa: BLE001 - whatever it raises is its verdict
            why = f"{type(error).__name__}: {str(error)[:200]}"
    report = json.dumps({"token": job["token"], "passed": passed, "why": why})
    os.write(verdict, report.encode("utf-8", "replace")[:3000] + b"\n")
    os._exit(0)


if __name__ == "__main__":
    main()
