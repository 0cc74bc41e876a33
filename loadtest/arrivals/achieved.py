"""Intended against achieved arrivals: did the load that was asked for really reach the server?

A generator that falls behind turns an open loop into a closed one, and its latencies into those of a lighter
load. So the sends are compared with the schedule: how late, how many per ten seconds, and how far the two
courses lie apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accounting.missing import Measured, measured, not_measured
from accounting.percentiles import percentile
from loadtest.arrivals.rate_profile import Floats

BIN_S = 10.0


@dataclass(frozen=True, slots=True)
class RateBin:
    """Arrivals of one span of time; the last span may be shorter than the others."""

    start_s: float  # seconds since the first span began
    width_s: float
    intended: int
    achieved: int

    @property
    def intended_per_s(self) -> float:
        """Requests per second that were meant to be sent."""
        return self.intended / self.width_s

    @property
    def achieved_per_s(self) -> float:
        """Requests per second that were sent."""
        return self.achieved / self.width_s


@dataclass(frozen=True, slots=True)
class AchievedArrivals:
    """What became of a schedule. Lateness is the send minus the intended send."""

    intended: int
    sent: int
    lateness_p50_s: Measured
    lateness_p95_s: Measured
    lateness_p99_s: Measured
    lateness_max_s: Measured
    bins: tuple[RateBin, ...]
    largest_deviation: float  # largest |share intended so far - share sent so far| at any instant, 0 to 1
    intended_gap_cv: Measured  # coefficient of variation of the gaps between arrivals
    achieved_gap_cv: Measured

    @property
    def share_sent(self) -> float:
        """Share of the intended requests that were sent at all."""
        return self.sent / self.intended if self.intended else 0.0


def achieved_arrivals(
    intended_s: Sequence[float] | Floats,
    sent_s: Sequence[float | None] | Floats,
    *,
    begin_s: float | None = None,
    end_s: float | None = None,
    bin_s: float = BIN_S,
) -> AchievedArrivals:
    """Compare, request by request, when it was meant to be sent and when it was (None or NaN: never).

    All on one clock, in seconds; in any order. The spans count from `begin_s` (by default the first intended
    arrival) to `end_s` (by default the last arrival or send); what lies outside is in no span.

    Raises:
        ValueError: if the two differ in length, or `bin_s` is not above 0.
    """
    intended, sent = _floats(intended_s), _floats(sent_s)
    if len(intended) != len(sent):
        raise ValueError(f"{len(intended)} intended arrivals and {len(sent)} sends: one of each is needed")
    if not bin_s > 0:
        raise ValueError(f"bin_s is {bin_s}; it must be above 0")
    late = (sent - intended)[~np.isnan(sent)]
    left = np.sort(sent[~np.isnan(sent)])
    intended = np.sort(intended)
    return AchievedArrivals(
        intended=len(intended),
        sent=len(left),
        lateness_p50_s=percentile(late.tolist(), 0.50),
        lateness_p95_s=percentile(late.tolist(), 0.95),
        lateness_p99_s=percentile(late.tolist(), 0.99),
        lateness_max_s=measured(float(late.max())) if len(late) else not_measured("nothing was sent"),
        bins=_bins(intended, left, begin_s, end_s, bin_s),
        largest_deviation=_largest_deviation(intended, left),
        intended_gap_cv=gap_cv(intended),
        achieved_gap_cv=gap_cv(left),
    )


def gap_cv(at_s: Floats) -> Measured:
    """Coefficient of variation (population standard deviation / mean) of the gaps between sorted instants."""
    gaps = np.diff(at_s)
    if len(gaps) < 2 or not gaps.mean() > 0:
        return not_measured(f"{len(at_s)} arrivals have too few gaps")
    return measured(float(gaps.std() / gaps.mean()))


def _floats(values: Sequence[float | None] | Floats) -> Floats:
    """As numbers; None becomes NaN."""
    return np.array(values, dtype=np.float64)


def _bins(
    intended: Floats, sent: Floats, begin_s: float | None, end_s: float | None, bin_s: float
) -> tuple[RateBin, ...]:
    if not len(intended):
        return ()
    begin = float(intended[0]) if begin_s is None else begin_s
    end = float(max(intended[-1], sent[-1] if len(sent) else intended[-1])) if end_s is None else end_s
    starts = begin + bin_s * np.arange(max(1, int(np.ceil((end - begin) / bin_s - 1e-9))))
    # The last span takes its end in: the last arrival lies there when no end is given.
    edges = np.append(starts, np.nextafter(end, np.inf))
    counts = [_counts(at_s, edges) for at_s in (intended, sent)]
    widths = np.diff(np.append(starts, end))
    return tuple(
        RateBin(float(start - begin), float(width), int(meant), int(left))
        for start, width, meant, left in zip(starts, widths, *counts, strict=True)
        if width > 0
    )


def _counts(at_s: Floats, edges: Floats) -> NDArray[np.int64]:
    """How many of the sorted instants lie in each [edge, next edge)."""
    return np.diff(np.searchsorted(at_s, edges, side="left"))


def _largest_deviation(intended: Floats, sent: Floats) -> float:
    """Kolmogorov and Smirnov's distance of the two courses, both as shares of the intended arrivals."""
    if not len(intended):
        return 0.0
    instants = np.concatenate((intended, sent))
    due = np.searchsorted(intended, instants, side="right")
    done = np.searchsorted(sent, instants, side="right")
    return float(np.abs(due - done).max() / len(intended))
