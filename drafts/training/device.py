"""On which device a child process computes, and in which number type: what was asked for, else what is fast there."""

from __future__ import annotations

import platform

import torch

_X86 = ("x86_64", "AMD64")
#: torch's words for the instructions of an x86 processor whose 16-bit matrix products are slower than those in float32.
_WITHOUT_AVX512 = ("DEFAULT", "AVX2")


def device_for(asked: str | None) -> str:
    """A name that torch knows."""
    return asked or ("cuda" if torch.cuda.is_available() else "cpu")


def type_for(device: str) -> torch.dtype:
    """In which type matrices are multiplied: bfloat16, but float32 on an x86 processor without AVX-512."""
    on_x86 = torch.device(device).type == "cpu" and platform.machine() in _X86
    slow = on_x86 and torch.backends.cpu.get_cpu_capability() in _WITHOUT_AVX512
    return torch.float32 if slow else torch.bfloat16


def fast_matrices(device: str) -> torch.autocast:
    """A context in which weights kept in float32 are multiplied in that type."""
    kind = torch.device(device).type
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=type_for(device) is torch.bfloat16)
