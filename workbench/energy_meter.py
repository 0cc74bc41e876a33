"""Which energy counters this machine has for the server under test, and what they say at the edges of a window."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from accounting.energy import EnergyReading, MeterKind
from workbench.energy_source import EnergySource, Found, unreadable
from workbench.gpu_energy import NOT_VISIBLE, nvml_boards, zeus_boards
from workbench.local_server import is_here
from workbench.rapl_energy import rapl_packages
from workbench.server_under_test import ServerUnderTest

#: So often counters that begin anew are read between the edges: the smallest, of 65.5 kJ, lasts 65 s at 1000 W.
BETWEEN_S = 30.0
ELSEWHERE = "the server is not on this machine"
NOT_STARTED_HERE = (
    "kilotoken did not start this server: every GPU of this machine is counted, used by the server or not, and whatever "
    "others did on it"
)
_INSTALL = "`pip install -r requirements/energy.txt`"
NO_PYNVML = f"this machine has an NVIDIA GPU, and pynvml (nvidia-ml-py) is not installed: {_INSTALL}"
NO_ZEUS = f"this machine has an AMD GPU, and zeus is not installed: {_INSTALL}"


class EnergyMeter:
    """Reads every counter at both edges of one window, and between them those that begin anew."""

    def __init__(
        self,
        found: Sequence[Found] = (),
        *,
        reason: str = "",
        note: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`reason`: why nothing is read at all. `note`: what to know of every reading."""
        self._found, self._reason, self._note, self._clock = found, reason, note, clock
        self._start: list[EnergyReading] = []
        self._end: list[EnergyReading] = []
        self._between: list[list[EnergyReading]] = []
        self._read_s: float | None = None  # the last reading inside the window

    @property
    def sources(self) -> list[EnergySource]:
        """All counters, GPU boards first."""
        return [source for found in self._found for source in found.sources]

    def start(self) -> None:
        """Read the window's first edge."""
        self._start = self._read(self.sources)
        self._read_s = self._clock()

    def between(self) -> None:
        """Called once a second inside the window: read what may have begun anew, where it is time."""
        if self._read_s is not None and self._clock() - self._read_s >= BETWEEN_S:
            wrapping = [source for source in self.sources if source.counter.range_joules is not None]
            self._between.append(self._read(wrapping))
            self._read_s = self._clock()

    def end(self) -> None:
        """Read the window's last edge."""
        self._end = self._read(self.sources)
        self._read_s = None

    def _read(self, sources: Sequence[EnergySource]) -> list[EnergyReading]:
        return [source.read(self._clock()) for source in sources]

    def plain(self) -> dict[str, Any]:
        """As cell.json keeps it."""
        return {
            "reason": self._reason,
            "note": self._note,
            "absent": {found.kind: found.lacking for found in self._found if not found.sources},
            "counters": [asdict(source.counter) for source in self.sources],
            "window_start": [asdict(reading) for reading in self._start],
            "between": [[asdict(reading) for reading in row] for row in self._between],
            "window_end": [asdict(reading) for reading in self._end],
        }


def energy_meter_of(server: ServerUnderTest) -> EnergyMeter:
    """The meter for this server: of the boards that it may use where we started it, of all where it only runs here."""
    if server.process is None:
        if not is_here(server.base_url):
            return EnergyMeter(reason=ELSEWHERE)
        return EnergyMeter(find_counters({}), note=NOT_STARTED_HERE)
    told: Mapping[str, str] = {} if server.command is None else server.command.environment
    on_cpu = server.resolved.get("device_config.device") == "cpu"
    return EnergyMeter(find_counters({**os.environ, **told}, on_cpu=on_cpu))


def find_counters(
    environment: Mapping[str, str],
    *,
    on_cpu: bool = False,
    proc: Path = Path("/proc"),
    sys: Path = Path("/sys"),
    load: Callable[[str], Any] = importlib.import_module,
) -> list[Found]:
    """What this machine can measure of a server with this environment: CPU packages, GPU boards.

    Args:
        environment: the server's; it says which boards are visible to it.
        on_cpu: whether the engine resolved to the CPU, and uses no GPU.
        proc: where procfs is mounted.
        sys: where sysfs is mounted.
        load: imports a binding by its name, or raises ImportError.
    """
    return [rapl_packages(sys / "class" / "powercap"), _boards(environment, on_cpu, proc, sys, load)]


def _boards(
    environment: Mapping[str, str], on_cpu: bool, proc: Path, sys: Path, load: Callable[[str], Any]
) -> Found:
    nvidia, amd = (proc / "driver" / "nvidia").exists(), (sys / "class" / "kfd").exists()
    kind = MeterKind.GPU_BOARD
    if not (nvidia or amd):
        return Found(kind, lacking="no NVIDIA GPU")
    if on_cpu:
        return Found(kind, lacking=NOT_VISIBLE)
    try:
        if nvidia:
            return nvml_boards(load("pynvml"), environment)
        return zeus_boards(load("zeus.device.gpu"), environment)
    except ImportError:
        return Found(kind, [unreadable(kind, "GPUs", NO_PYNVML if nvidia else NO_ZEUS)])
