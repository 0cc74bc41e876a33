"""A piecewise linear arrival rate: how many arrivals are expected by when, and by when so many are.

In a segment whose rate goes from a to b over d seconds, a t + (b - a) t^2 / (2 d) arrivals are expected in its
first t seconds. The last rate goes on for ever.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accounting.errors import ConfigError
from loadtest.config import RateSegment

Floats = NDArray[np.float64]

_HINT = "write steps and ramps as '2@30s,2-10@60s,10', in requests per second"


class RateProfile:
    """Rates in requests per second, times in seconds since the first segment began."""

    def __init__(self, segments: Sequence[RateSegment]) -> None:
        """Take the segments in order; only the last may last 0 s, since its end rate goes on anyway.

        Raises:
            ConfigError: if there is no segment, a rate or duration is impossible, or nothing ever arrives.
        """
        _check(segments)
        self._start_rate = np.array([s.start for s in segments] + [segments[-1].end], dtype=np.float64)
        lasting = np.array([s.duration_s for s in segments], dtype=np.float64)
        rising = np.array([s.end - s.start for s in segments], dtype=np.float64)
        self._slope = np.append(np.divide(rising, lasting, out=np.zeros_like(rising), where=lasting > 0), 0.0)
        arrivals = np.array([(s.start + s.end) / 2 * s.duration_s for s in segments], dtype=np.float64)
        self._lasting = np.append(lasting, np.inf)
        #: Where each segment begins: seconds, and arrivals expected before it.
        self._begin_s = np.append(0.0, np.cumsum(lasting))
        self._begin_n = np.append(0.0, np.cumsum(arrivals))

    @property
    def duration_s(self) -> float:
        """Seconds until only the last rate is left."""
        return float(self._begin_s[-1])

    @property
    def last_rate(self) -> float:
        """The rate that goes on for ever, in requests per second."""
        return float(self._start_rate[-1])

    def rate(self, at_s: ArrayLike) -> Floats:
        """Requests per second at these instants; at a step, the new rate."""
        at = np.asarray(at_s, dtype=np.float64)
        k = self._segment(self._begin_s, at)
        rates: Floats = self._start_rate[k] + self._slope[k] * (at - self._begin_s[k])
        return rates

    def expected_arrivals(self, until_s: ArrayLike) -> Floats:
        """Arrivals expected from the start until each instant (0 before it)."""
        at = np.maximum(np.asarray(until_s, dtype=np.float64), 0.0)
        k = self._segment(self._begin_s, at)
        t = at - self._begin_s[k]
        expected: Floats = self._begin_n[k] + self._start_rate[k] * t + self._slope[k] * t * t / 2
        return expected

    def instant_s(self, arrivals: ArrayLike) -> Floats:
        """The first instant by which so many arrivals are expected; infinite where the rate has ended at 0."""
        n = np.maximum(np.asarray(arrivals, dtype=np.float64), 0.0)
        # The segment in which the count is reached; a pause, in which nothing is, is never chosen.
        k = np.maximum(np.searchsorted(self._begin_n, n, side="left") - 1, 0)
        rest, rate = n - self._begin_n[k], self._start_rate[k]
        # a t + s t^2 / 2 = n solved so that neither a small slope nor a small rate cancels.
        root = np.sqrt(np.maximum(rate * rate + 2 * self._slope[k] * rest, 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(rest > 0.0, 2 * rest / (rate + root), 0.0)
        # Rounding must not carry an arrival past the segment that it belongs to: times never go backwards.
        instants: Floats = self._begin_s[k] + np.minimum(t, self._lasting[k])
        return instants

    @staticmethod
    def _segment(begins: Floats, at: Floats) -> NDArray[np.intp]:
        return np.maximum(np.searchsorted(begins, at, side="right") - 1, 0)


def _check(segments: Sequence[RateSegment]) -> None:
    if not segments:
        raise ConfigError("an open loop needs a rate, and none is given", hint=_HINT)
    for number, segment in enumerate(segments, start=1):
        where = f"rate segment {number}"
        for name in ("start", "end"):
            rate = getattr(segment, name)
            if not (math.isfinite(rate) and rate >= 0):
                raise ConfigError(f"{where}: {name} is {rate}; a rate must be 0 or more", hint=_HINT)
        if not (math.isfinite(segment.duration_s) and segment.duration_s >= 0):
            raise ConfigError(
                f"{where}: duration_s is {segment.duration_s}; it must be 0 s or more", hint=_HINT
            )
        if segment.duration_s == 0 and (number < len(segments) or segment.start != segment.end):
            raise ConfigError(
                f"{where} does not say how long it lasts; only a last, constant rate may leave that open",
                hint=_HINT,
            )
    if all(s.start == s.end == 0 for s in segments):
        raise ConfigError("every rate is 0: nothing would ever be sent", hint=_HINT)
