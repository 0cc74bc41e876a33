"""What the page of a crossover map shows: plain values, made by whoever measured and predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPoint:
    """One window of a drafting arm; rates in tokens per second, ratios to no drafting at the same load."""

    arm: str
    workload: str
    streams: int
    measured: float
    predicted: float
    interval: tuple[
        float, float
    ]  # of another window's rate, 95 %; its end is infinite where nothing is known
    measured_ratio: float | None
    predicted_ratio: float
    tokens_per_step: float
    break_even: (
        float | None
    )  # tokens per step at which drafting is worth nothing; None where all accepted do not suffice
    ratio_at_best: float
    factors: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapData:
    """`arms` begins with `baseline`, which does not draft; `facts` are named lines for the head of the page."""

    title: str
    lead: str
    facts: tuple[tuple[str, str], ...]
    baseline: str
    arms: Sequence[str]
    points: Sequence[MapPoint]

    @property
    def workloads(self) -> list[str]:
        """In the order of the points."""
        return list(dict.fromkeys(point.workload for point in self.points))

    def of(self, workload: str, arm: str) -> list[MapPoint]:
        """The points of an arm, by load."""
        own = [point for point in self.points if (point.workload, point.arm) == (workload, arm)]
        return sorted(own, key=lambda point: point.streams)
