"""Where the machine's CPU time goes while a cell runs: to us, to other programs, to other guests of its hypervisor.

From /proc and /sys, read once a second: some milliseconds of one CPU, so that looking does not become the noise.
Only the CPUs that this process may use are counted: what happens on others disturbs nobody here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from accounting.errors import RunError
from accounting.host_noise import HostSample
from workbench.gpu_sampler import GpuSampler, find_gpu_sampler

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
NO_PRESSURE = "CPU pressure is not measured: the kernel has no /proc/pressure/cpu"
NO_QUOTA = "quota throttling is not measured: no control group (v2) of this process counts it"
NO_FREQUENCY = "CPU frequency is not measured: this machine does not say it"


@dataclass(frozen=True, slots=True)
class _Reading:
    """Cumulative seconds at an instant; counts where named so. None where this machine does not say."""

    at_s: float
    busy_s: float
    steal_s: float
    cpu_s_by_pid: Mapping[int, float]  # of every process: its own and its ended children's
    own: frozenset[int]
    pressure_s: float | None
    throttled_s: float | None
    thermal_count: int | None


class HostSampler:
    """Samples differences: each `sample` covers the time since the one before, the first since the making."""

    def __init__(
        self,
        own_roots: Callable[[], Iterable[int]],
        clock: Callable[[], float] = time.monotonic,
        proc: Path = Path("/proc"),
        *,
        sys: Path = Path("/sys"),
        cpus: Iterable[int] | None = None,
        gpus: GpuSampler | None = None,
    ) -> None:
        """Start counting.

        Args:
            own_roots: pids whose trees are ours: the server's, the load client's, this process's. Asked each time.
            clock: monotonic seconds, as the records' clock.
            proc: where procfs is mounted.
            sys: where sysfs is mounted.
            cpus: numbers of the CPUs to count; those that this process may use by default.
            gpus: reader of GPU clocks; what the machine allows by default.
        """
        self._own_roots, self._clock, self._proc, self._sys = own_roots, clock, proc, sys
        self._cpus = frozenset(os.sched_getaffinity(0) if cpus is None else cpus)
        self._gpus = find_gpu_sampler(proc) if gpus is None else gpus
        self._quota = _quota_file(proc, sys)
        self._last = self._read()

    def sample(self) -> HostSample:
        """What happened since the last sample."""
        before, now = self._last, self._read()
        self._last = now
        interval_s = max(now.at_s - before.at_s, _TICK_S)
        busy = max(now.busy_s - before.busy_s, 0.0) / interval_s
        own = _own_s(before, now) / interval_s
        gpus = self._gpus.sample()
        pressure_s = _rise(before.pressure_s, now.pressure_s)
        throttled_s = _rise(before.throttled_s, now.throttled_s)
        frequency_mhz = self._frequency_mhz()
        missing = {
            NO_PRESSURE: pressure_s is None,
            NO_QUOTA: throttled_s is None,
            NO_FREQUENCY: frequency_mhz is None,
            self._gpus.reason: bool(self._gpus.reason),
        }
        return HostSample(
            at_s=now.at_s,
            interval_s=interval_s,
            cpus=len(self._cpus),
            busy_cpus=busy,
            steal_cpus=max(now.steal_s - before.steal_s, 0.0) / interval_s,
            own_cpus=own,
            foreign_cpus=max(busy - own, 0.0),
            pressure_share=None if pressure_s is None else pressure_s / interval_s,
            throttled_cpus=None if throttled_s is None else throttled_s / interval_s,
            frequency_mhz=frequency_mhz,
            thermal_throttles=None
            if before.thermal_count is None or now.thermal_count is None
            else max(now.thermal_count - before.thermal_count, 0),
            gpus=gpus,
            not_measured=tuple(reason for reason, lacks in missing.items() if lacks),
        )

    def _read(self) -> _Reading:
        parents, cpu_s = _processes(self._proc)
        busy_s, steal_s = self._cpu_seconds()
        return _Reading(
            at_s=self._clock(),
            busy_s=busy_s,
            steal_s=steal_s,
            cpu_s_by_pid=cpu_s,
            own=_trees(self._own_roots(), parents),
            pressure_s=_pressure_s(self._proc),
            throttled_s=_throttled_s(self._quota),
            thermal_count=self._thermal_count(),
        )

    def _cpu_seconds(self) -> tuple[float, float]:
        """Busy (user, nice, system) and stolen seconds of our CPUs; interrupts are left out."""
        busy = steal = 0
        for line in _text(self._proc / "stat").splitlines():
            name, *ticks = line.split()
            if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in self._cpus:
                user, nice, system, *rest = map(int, ticks)
                busy += user + nice + system
                steal += rest[4] if len(rest) > 4 else 0
        return busy * _TICK_S, steal * _TICK_S

    def _frequency_mhz(self) -> float | None:
        khz = [
            int(t) for n in self._cpus if (t := _text(self._cpu(n) / "cpufreq" / "scaling_cur_freq").strip())
        ]
        return sum(khz) / len(khz) / 1000.0 if khz else None

    def _thermal_count(self) -> int | None:
        path = "thermal_throttle/core_throttle_count"
        counts = [int(t) for n in self._cpus if (t := _text(self._cpu(n) / path).strip())]
        return sum(counts) if counts else None

    def _cpu(self, number: int) -> Path:
        return self._sys / "devices" / "system" / "cpu" / f"cpu{number}"


def write_host_samples(samples: Iterable[HostSample], path: Path) -> None:
    """Write host.jsonl, whole or not at all."""
    partial = path.with_suffix(path.suffix + ".partial")
    partial.write_bytes(msgspec.json.Encoder().encode_lines(list(samples)))
    partial.replace(path)


def read_host_samples(path: Path) -> list[HostSample]:
    """Read host.jsonl.

    Raises:
        RunError: if it is missing or damaged.
    """
    try:
        return msgspec.json.Decoder(HostSample).decode_lines(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise RunError(
            f"{path} cannot be read: {error}",
            hint="Without the file the cell is measured as one whose host was not sampled: remove it.",
        ) from error


def _own_s(before: _Reading, now: _Reading) -> float:
    """CPU seconds of our trees in between.

    A process that ended hands its time to the parent that waited for it, so sums over the trees stay right; one
    that is ours from now on counts from now on.
    """
    ours = before.own | now.own
    spent = sum(now.cpu_s_by_pid.get(pid, 0.0) - before.cpu_s_by_pid.get(pid, 0.0) for pid in ours)
    return max(spent, 0.0)


def _processes(proc: Path) -> tuple[dict[int, int], dict[int, float]]:
    """Parent, and CPU seconds with those of ended children, of every process."""
    parents: dict[int, int] = {}
    cpu_s: dict[int, float] = {}
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        # The name may hold spaces and brackets: fields are counted after its last bracket.
        fields = _text(entry / "stat").rpartition(")")[2].split()
        if len(fields) > 14:
            parents[int(entry.name)] = int(fields[1])
            cpu_s[int(entry.name)] = sum(map(int, fields[11:15])) * _TICK_S
    return parents, cpu_s


def _trees(roots: Iterable[int], parents: Mapping[int, int]) -> frozenset[int]:
    """The roots that live and all their descendants."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    waiting = [pid for pid in roots if pid in parents]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return frozenset(found)


def _pressure_s(proc: Path) -> float | None:
    for line in _text(proc / "pressure" / "cpu").splitlines():
        if line.startswith("some ") and "total=" in line:
            return int(line.rpartition("total=")[2]) * 1e-6
    return None


def _quota_file(proc: Path, sys: Path) -> Path | None:
    for line in _text(proc / "self" / "cgroup").splitlines():
        if line.startswith("0::/"):
            return sys / "fs" / "cgroup" / line[4:].strip() / "cpu.stat"
    return None


def _throttled_s(quota: Path | None) -> float | None:
    for line in _text(quota).splitlines() if quota else ():
        if line.startswith("throttled_usec "):
            return int(line.split()[1]) * 1e-6
    return None


def _rise(before: float | None, now: float | None) -> float | None:
    return None if before is None or now is None else max(now - before, 0.0)


def _text(path: Path) -> str:
    """The file's text; empty where it is not there (any more) or not for us."""
    try:
        return path.read_text()
    except OSError:
        return ""
