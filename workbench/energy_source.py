"""One energy counter of this machine, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from accounting.energy import EnergyCounter, EnergyReading, MeterKind
from accounting.missing import Measured, not_measured


@dataclass(frozen=True, slots=True)
class EnergySource:
    """`read_joules` says what the counter says now, or why it cannot be read; it raises nothing."""

    counter: EnergyCounter
    read_joules: Callable[[], Measured]

    def read(self, at_s: float) -> EnergyReading:
        """The counter at this instant."""
        said = self.read_joules()
        return EnergyReading(self.counter.meter, said.value, at_s, said.reason)


@dataclass(frozen=True, slots=True)
class Found:
    """The sources of one kind; without any, `lacking` completes "this machine has ..."."""

    kind: MeterKind
    sources: Sequence[EnergySource] = ()
    lacking: str = ""


def unreadable(kind: MeterKind, meter: str, reason: str) -> EnergySource:
    """What is there and cannot be read: it stays on record with the reason."""
    return EnergySource(EnergyCounter(meter, kind, step_s=0.0), lambda: not_measured(reason))
