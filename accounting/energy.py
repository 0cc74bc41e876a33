"""Joules of a window from a counter that only rises, with a code that says whether they may be used.

A counter belongs to a device as a whole (a GPU board, a CPU package). The difference of two readings is what that
device drew in between, whoever worked on it: the share that other processes had is not known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from accounting.missing import Measured, measured, not_measured

#: One step of a counter, which may be missing at each edge, must be below this share of the window.
STEP_SHARE = 0.01
#: More than this no CPU package draws: twice the 500 W of the largest server processors (2025).
MOST_PACKAGE_WATTS = 1000.0
#: By as much a reading's instant may be off when it is asked whether its power is plausible.
INSTANT_SLACK_S = 1.0


class EnergyCode(StrEnum):
    """Whether the joules of a window may be used, and if not, why."""

    VALID = "valid"
    WRAPPED = "wrapped"  # the counter began anew at its limit, which is accounted for
    NO_COUNTER = "no counter"  # there is none, or it may not be read
    NOT_RECORDED = "not recorded"  # by an older kilotoken
    MISSING_EDGE = "missing edge"
    TOO_SHORT = "too short"  # one step of the counter is a material part of the window
    TOO_LONG = "too long"  # the counter may have begun anew once more than was seen
    RESET = "reset"  # it went back, or moved as no device draws
    STUCK = "stuck"  # it did not move at all


USABLE = frozenset({EnergyCode.VALID, EnergyCode.WRAPPED})


class MeterKind(StrEnum):
    """What a counter belongs to."""

    GPU_BOARD = "GPU board"
    CPU_PACKAGE = "CPU package"


@dataclass(frozen=True, slots=True)
class EnergyCounter:
    """A counter of joules. `step_s`: the longest time that it may stand still at work. `range_joules`: where it begins
    anew at zero; None for one that never gets there.
    """

    meter: str
    kind: MeterKind
    step_s: float
    range_joules: float | None = None


@dataclass(frozen=True, slots=True)
class EnergyReading:
    """A counter at an instant (monotonic s): joules since whenever, or None with the reason in a user's words."""

    meter: str
    joules: float | None
    at_s: float
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse a missing value without a reason, a value with one, and what no counter says."""
        if (self.joules is None) != bool(self.reason):
            raise ValueError("a reading needs no reason, a missing one needs exactly one")
        if self.joules is not None and not (math.isfinite(self.joules) and self.joules >= 0):
            raise ValueError(f"{self.meter}: a counter says joules from 0 on, not {self.joules}")


@dataclass(frozen=True, slots=True)
class WindowEnergy:
    """Joules between two readings that lie `duration_s` apart; None with the reason unless the code is usable."""

    joules: Measured
    code: EnergyCode
    duration_s: float | None = None

    @property
    def watts(self) -> Measured:
        """Mean power of the window."""
        if self.joules.value is None or self.duration_s is None:
            return self.joules
        return measured(self.joules.value / self.duration_s)


def window_energy(
    counter: EnergyCounter,
    start: EnergyReading | None,
    end: EnergyReading | None,
    between: Iterable[EnergyReading] = (),
) -> WindowEnergy:
    """Joules from one reading to the other.

    `between`: readings of a counter with a range, in order of time; from each to the next it may begin anew once.

    Raises:
        ValueError: if the readings are not in order of time, or another meter's.
    """
    if start is None or end is None or start.joules is None or end.joules is None:
        return _without_both(start, end)
    readings = (start, *between, end)
    if any(reading.meter != counter.meter for reading in readings):
        raise ValueError(f"not all of these readings are of {counter.meter}")
    if any(later.at_s <= earlier.at_s for earlier, later in pairwise(readings)):
        raise ValueError(f"{counter.meter}: each reading must come after the one before")
    duration_s = end.at_s - start.at_s
    if duration_s < counter.step_s / STEP_SHARE:
        return unusable(EnergyCode.TOO_SHORT, _too_short(counter, duration_s))
    known = [(reading.at_s, reading.joules) for reading in readings if reading.joules is not None]
    code, joules = EnergyCode.VALID, 0.0
    for earlier, later in pairwise(known):
        part = _part(counter, earlier, later)
        if part.joules.value is None:
            return part
        joules += part.joules.value
        code = EnergyCode.WRAPPED if EnergyCode.WRAPPED in (code, part.code) else code
    if joules == 0.0:
        return unusable(EnergyCode.STUCK, f"the counter did not move in {duration_s:.1f} s")
    return WindowEnergy(measured(joules), code, duration_s)


def unusable(code: EnergyCode, reason: str) -> WindowEnergy:
    """No joules, and why."""
    return WindowEnergy(not_measured(reason), code)


def _without_both(start: EnergyReading | None, end: EnergyReading | None) -> WindowEnergy:
    lacks = {
        edge: "it was not read" if reading is None else reading.reason
        for edge, reading in (("start", start), ("end", end))
        if reading is None or reading.joules is None
    }
    reasons = "; ".join(dict.fromkeys(lacks.values()))
    if start is not None and end is not None and len(lacks) == 2:
        return unusable(EnergyCode.NO_COUNTER, reasons)
    return unusable(EnergyCode.MISSING_EDGE, f"no reading at the window's {' and '.join(lacks)}: {reasons}")


def _too_short(counter: EnergyCounter, duration_s: float) -> str:
    return (
        f"the window lasted {duration_s:.1f} s, and a counter that may stand still for "
        f"{counter.step_s * 1000:g} ms needs {counter.step_s / STEP_SHARE:g} s"
    )


def _part(counter: EnergyCounter, start: tuple[float, float], end: tuple[float, float]) -> WindowEnergy:
    """Joules from one (instant, value) to the next; with a range only where no second count would be plausible."""
    duration_s, moved = end[0] - start[0], end[1] - start[1]
    if counter.range_joules is None:
        if moved < 0:
            went_back = f"the counter went back by {-moved:,.0f} J: it was reset in between"
            return unusable(EnergyCode.RESET, went_back)
        return WindowEnergy(measured(moved), EnergyCode.VALID, duration_s)
    joules = moved if moved >= 0 else moved + counter.range_joules
    most = MOST_PACKAGE_WATTS * (duration_s + INSTANT_SLACK_S)
    if not 0 <= joules <= most:
        return unusable(
            EnergyCode.RESET,
            f"the counter moved by {joules:,.0f} J in {duration_s:.1f} s, as if by more than "
            f"{MOST_PACKAGE_WATTS:,.0f} W: it was reset in between",
        )
    if joules + counter.range_joules <= most:
        return unusable(
            EnergyCode.TOO_LONG,
            f"nobody read the counter for {duration_s:.0f} s; it begins anew every "
            f"{counter.range_joules:,.0f} J and may have done so unseen",
        )
    return WindowEnergy(measured(joules), EnergyCode.WRAPPED if moved < 0 else EnergyCode.VALID, duration_s)
