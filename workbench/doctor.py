"""What this machine has and lacks for kilotoken, each finding with what to do about it."""

from __future__ import annotations

import os
import resource
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil

from accounting.errors import MachineError
from serving.engine_build import INSTALL_HINT, cuda_device_present, installed_engine
from serving.free_port import free_port
from serving.models.cache import cache_root
from serving.number_type import cpu_facts, cpu_flags, is_slow_in_16_bits
from serving.preloads import find_preloads
from serving.unrecognised import engine_source, unrecognised
from serving.vllm_names import names_for, version_warning
from workbench.provenance import gpu_names, hardware, machine_sentence

NEEDED_DISK_BYTES = 2 << 30


class Health(StrEnum):
    """How a check came out. Only `missing` keeps kilotoken from its main job."""

    OK = "ok"
    NOTE = "note"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, what was found, what to do (empty when nothing)."""

    subject: str
    health: Health
    found: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Run every check. None of them changes anything or takes longer than a moment."""
    checks: tuple[Callable[[], list[Finding]], ...] = (
        _machine, _engine, _devices, _preloads, _ports, _disk, _cache, _clock, _load, _file_limit,
    )  # fmt: skip
    return [finding for check in checks for finding in check()]


def _machine() -> list[Finding]:
    facts = hardware()
    found = [Finding("machine", Health.OK, machine_sentence(facts))]
    memory_gib = psutil.virtual_memory().available / 2**30
    enough = memory_gib >= 6
    found.append(
        Finding(
            "free memory",
            Health.OK if enough else Health.NOTE,
            f"{memory_gib:.1f} GiB",
            "" if enough else "A vLLM server of the default model takes about 5 GiB.",
        )
    )
    return found


def _engine() -> list[Finding]:
    engine = installed_engine()
    if engine is None:
        return [Finding("engine", Health.MISSING, "no vLLM in this environment", INSTALL_HINT)]
    said = f"{engine.distribution} {engine.version} ({engine.device})"
    warning, source = version_warning(engine.version), engine_source()
    if source is not None and (lacking := unrecognised(names_for(engine.version), source).sentence):
        warning = f"{warning} {lacking[:1].upper()}{lacking[1:]}.".strip()
    return [Finding("engine", Health.NOTE if warning else Health.OK, said, warning)]


def _devices() -> list[Finding]:
    gpus = gpu_names()
    if gpus:
        return [Finding("devices", Health.OK, "; ".join(gpus))]
    if cuda_device_present():
        return [
            Finding(
                "devices",
                Health.NOTE,
                "an NVIDIA device, but nvidia-smi does not answer",
                "Check the driver.",
            )
        ]
    facts = cpu_facts()
    wide = sorted(cpu_flags(facts) & {"avx512f", "avx512_bf16", "amx_bf16"}) or [
        "none of avx512f, avx512_bf16, amx_bf16"
    ]
    found = f"CPU only ({', '.join(wide)})"
    if is_slow_in_16_bits(facts):
        slow = "Prompts and batches are slow in 16 bits here: `dtype: auto` serves in float32, with twice the memory."
        return [Finding("devices", Health.NOTE, found, slow)]
    return [Finding("devices", Health.OK, found)]


def _preloads() -> list[Finding]:
    return [
        Finding(
            f"preload {preload.name}",
            Health.OK if preload.path else Health.NOTE,
            "found" if preload.path else "not found: a CPU server runs slower",
            "" if preload.path else preload.remedy,
        )
        for preload in find_preloads()
    ]


def _ports() -> list[Finding]:
    try:
        return [Finding("ports", Health.OK, f"127.0.0.1 gives free ports (for example {free_port()})")]
    except OSError as error:
        return [
            Finding(
                "ports", Health.MISSING, f"no port can be bound on 127.0.0.1: {error}", "Check the sandbox."
            )
        ]


def _disk() -> list[Finding]:
    free = shutil.disk_usage(Path.cwd()).free
    enough = free >= NEEDED_DISK_BYTES
    found = [
        Finding(
            "disk here",
            Health.OK if enough else Health.NOTE,
            f"{free / 2**30:.1f} GiB free",
            "" if enough else "Runs are small, but vLLM and its caches want a few GiB.",
        )
    ]
    if not os.access(Path.cwd(), os.W_OK):
        found.append(
            Finding("this directory", Health.NOTE, "not writable", "Give `kilotoken run` a place with --out.")
        )
    return found


def _cache() -> list[Finding]:
    try:
        root = cache_root()
    except MachineError as error:
        return [Finding("model cache", Health.MISSING, error.message, error.hint)]
    return [Finding("model cache", Health.OK, str(root))]


def _clock() -> list[Finding]:
    info = time.get_clock_info("monotonic")
    fine = info.resolution <= 1e-6
    return [
        Finding(
            "clock",
            Health.OK if fine else Health.NOTE,
            f"monotonic, resolution {info.resolution * 1e9:g} ns",
            "" if fine else "Latencies below the resolution mean nothing.",
        )
    ]


def _load() -> list[Finding]:
    one_minute, _, _ = os.getloadavg()
    cores = len(os.sched_getaffinity(0))
    busy = one_minute > 0.3 * cores
    return [
        Finding(
            "other work",
            Health.NOTE if busy else Health.OK,
            f"load average {one_minute:.2f} on {cores} cores",
            "Something else is running: measure on a quiet machine." if busy else "",
        )
    ]


def _file_limit() -> list[Finding]:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = soft >= 4096
    return [
        Finding(
            "open files", Health.OK if enough else Health.NOTE, str(soft), "" if enough else "ulimit -n 65536"
        )
    ]
