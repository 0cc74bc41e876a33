"""How far another process's monotonic clock is from ours: by asking it, with half the round trip as uncertainty.

Processes of one machine share the clock: there the offset is zero by construction and the question only a check.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class ClockOffset(msgspec.Struct, frozen=True):
    """`offset_s` is the other clock minus ours; what was asked before the load and after it may differ by `drift_s`."""

    offset_s: float = 0.0
    uncertainty_s: float = 0.0
    drift_s: float = 0.0
    same_machine: bool = True


class Ping(msgspec.Struct, frozen=True):
    """One question: our clock when it left and when its answer came, the other clock in between."""

    sent_s: float
    received_s: float
    theirs_s: float

    @property
    def round_trip_s(self) -> float:
        """How long it took."""
        return self.received_s - self.sent_s

    @property
    def offset_s(self) -> float:
        """The other clock minus ours, if both ways took equally long; wrong by half the round trip at most."""
        return self.theirs_s - (self.sent_s + self.received_s) / 2


def offset_from(pings: Sequence[Ping]) -> tuple[float, float]:
    """Offset and uncertainty by the quickest of several questions (Cristian's algorithm).

    Raises:
        ValueError: without any.
    """
    quickest = min(pings, key=lambda ping: ping.round_trip_s)
    return quickest.offset_s, quickest.round_trip_s / 2


def combined(before: Sequence[Ping], after: Sequence[Ping], *, same_machine: bool) -> ClockOffset:
    """The offset over a load, from questions before and after it. Half the drift between adds to the uncertainty."""
    if same_machine:
        return ClockOffset()
    offset_s, uncertainty_s = offset_from(before)
    later_s, later_uncertainty_s = offset_from(after) if after else (offset_s, uncertainty_s)
    drift_s = later_s - offset_s
    return ClockOffset(
        offset_s=(offset_s + later_s) / 2,
        uncertainty_s=max(uncertainty_s, later_uncertainty_s) + abs(drift_s) / 2,
        drift_s=drift_s,
        same_machine=False,
    )
