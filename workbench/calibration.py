"""How many tokens per second the load client of this machine can take and still be right: judged, searched, kept.

Measured against a server whose own lateness is known (`loadtest/exact_server.py`). The client's error is the
distance of its TTFT percentile from the truth: the server's TTFT plus the same percentile of the server's own
lateness. Pure but for the file that keeps the result; `calibrate_command.py` measures.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from workbench.provenance import hardware

ERROR_P50_MS = 1.0
ERROR_P99_MS = 5.0
DELIVERED_SHARE = 0.98
#: Above it the server is no truth to compare with.
SERVER_LATENESS_P99_MS = 1.0
#: First tokens that shared a read have no stamp: more of them and a p99 is that of the luckier requests.
VOIDED_SHARE = 0.01
FIRST_STREAMS = 100
MOST_STREAMS = 12800
FEWEST_STREAMS = 25
#: Added to or taken off the streams at each halving; below this share of them the search has found its answer.
RESOLUTION = 0.1


class Fingerprint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a calibration holds for. None where something cannot be known."""

    cpu: str
    cores: int
    kernel: str
    python: str
    kilotoken: str | None
    locust: str | None
    gevent: str | None
    processes: int


class Level(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was measured with so many streams. Milliseconds; None where there were too few samples."""

    streams: int
    answers: int
    failed: int
    offered_tokens_per_s: float  # what these streams would get from a client and a server that lose no time
    tokens_per_s: float | None
    ttft_error_p50_ms: float | None
    ttft_error_p99_ms: float | None
    voided_ttft_share: float | None
    client_lag_p99_ms: float | None
    server_first_lateness_p99_ms: float | None
    server_lateness_p99_ms: float | None
    server_cores: float  # the server's CPU seconds per second
    server_scheduling: str
    client_problem: str = ""  # why the client was not right; empty when it was
    server_problem: str = ""  # why the server was no truth

    @property
    def passed(self) -> bool:
        """Whether the client was right, by a server that was."""
        return not self.client_problem and not self.server_problem


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The highest rate at which the client was right; None where there is none, and `reason` says why."""

    fingerprint: Fingerprint
    measured_at: str  # UTC, ISO 8601
    quick: bool
    tokens_per_s: float | None
    reason: str  # what ended the search: why the next level was refused, or that there was none
    levels: tuple[Level, ...]  # by streams


def fingerprint(processes: int) -> Fingerprint:
    """This machine and this client."""
    facts = hardware()
    return Fingerprint(
        cpu=facts["cpu"],
        cores=facts["usable_cpus"],
        kernel=facts["kernel"],
        python=platform.python_version(),
        kilotoken=_version("kilotoken"),
        locust=_version("locust"),
        gevent=_version("gevent"),
        processes=processes,
    )


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def judged(level: Level) -> Level:
    """The level with what is wrong with it. A late server is said apart: it is no fault of the client."""
    client = [
        *_above("TTFT error p50", level.ttft_error_p50_ms, ERROR_P50_MS),
        *_above("TTFT error p99", level.ttft_error_p99_ms, ERROR_P99_MS),
    ]
    if level.failed:
        client.append(f"{level.failed} requests failed")
    if level.tokens_per_s is None:
        client.append("its tokens/s are not known")
    elif level.tokens_per_s < DELIVERED_SHARE * level.offered_tokens_per_s:
        share = level.tokens_per_s / level.offered_tokens_per_s
        client.append(f"{share:.1%} of the offered tokens came, {DELIVERED_SHARE:.0%} must")
    if level.voided_ttft_share is not None and level.voided_ttft_share > VOIDED_SHARE:
        client.append(f"{level.voided_ttft_share:.1%} of first tokens shared a read, {VOIDED_SHARE:.0%} may")
    server = [
        *_above("first tokens late at p99", level.server_first_lateness_p99_ms, SERVER_LATENESS_P99_MS),
        *_above("tokens late at p99", level.server_lateness_p99_ms, SERVER_LATENESS_P99_MS),
    ]
    return msgspec.structs.replace(level, client_problem="; ".join(client), server_problem="; ".join(server))


def _above(name: str, value_ms: float | None, limit_ms: float) -> list[str]:
    if value_ms is None:
        return [f"{name} is not known: too few answers"]
    return [f"{name} {value_ms:.2f} ms, {limit_ms:g} ms may be"] if abs(value_ms) > limit_ms else []


def search(measure: Callable[[int], Level], *, halvings: int) -> tuple[float | None, str, tuple[Level, ...]]:
    """Double the streams until a level is refused (or halve until one passes), then halve the gap between the two.

    Args:
        measure: a judged level for a number of streams; asked again once when the level is refused, because one
            hiccup of the host is not the client's limit.
        halvings: how often the gap is halved at most.

    Returns:
        The tokens/s of the highest level that passed below every refused one (None if none did), why no higher
        one did, and all levels by streams.
    """
    levels: dict[int, Level] = {}

    def passes(streams: int) -> bool:
        levels[streams] = measure(streams)
        if not levels[streams].passed:
            levels[streams] = measure(streams)
        return levels[streams].passed

    low, high = 0, FIRST_STREAMS
    while high <= MOST_STREAMS and passes(high):
        low, high = high, high * 2
    if low == 0:
        low = FIRST_STREAMS // 2
        while low >= FEWEST_STREAMS and not passes(low):
            low, high = low // 2, low
    if low >= FEWEST_STREAMS and high <= MOST_STREAMS:
        for _ in range(halvings):
            middle = (low + high) // 2
            if high - low <= RESOLUTION * low:
                break
            low, high = (middle, high) if passes(middle) else (low, middle)
    refused = levels.get(high)
    why = f"{MOST_STREAMS} streams were not too many" if refused is None else _refusal(refused)
    found = levels[low].tokens_per_s if low in levels and levels[low].passed else None
    return found, why, tuple(levels[streams] for streams in sorted(levels))


def _refusal(level: Level) -> str:
    words = []
    if level.client_problem:
        words.append(level.client_problem)
    if level.server_problem:
        words.append(f"the server itself was late, so nothing is known of the client: {level.server_problem}")
    return f"at {level.streams} streams: {'; '.join(words)}"


def calibration_path(root: Path, of: Fingerprint) -> Path:
    """Where a calibration is kept below the cache's root."""
    digest = hashlib.sha256(msgspec.json.encode(of)).hexdigest()
    return root / "calibration" / f"{digest[:16]}.json"


def save_calibration(calibration: Calibration, root: Path) -> Path:
    """Keep it, whole or not at all."""
    path = calibration_path(root, calibration.fingerprint)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".partial-{os.getpid()}")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(calibration), indent=2) + b"\n")
    partial.replace(path)
    return path


def load_calibration(of: Fingerprint, *, root: Path) -> Calibration | None:
    """The calibration of this machine and client; None if there is none, or its file cannot be used."""
    try:
        kept = msgspec.json.decode(calibration_path(root, of).read_bytes(), type=Calibration)
    except (OSError, msgspec.MsgspecError):
        return None
    return kept if kept.fingerprint == of else None


def document(calibration: Calibration) -> dict[str, Any]:
    """Plain values, for `--json`."""
    plain: dict[str, Any] = msgspec.to_builtins(calibration)
    return plain
