"""A simulated open loop: Poisson arrivals at a server of some places, whole service times, first come first served."""

from __future__ import annotations

import heapq
import math

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]


def simulate(
    seed: int, load: float, *, places: int = 16, service_s: float = 2.0, until_s: float = 70.0
) -> tuple[Series, Series, Series]:
    """Instants at which requests arrive, begin and end; `load` 1.0 is exactly capacity. Lognormal service, CV 0.5."""
    dice = np.random.default_rng(seed)
    rate = load * places / service_s
    arrivals = np.cumsum(dice.exponential(1 / rate, int(rate * until_s * 1.5) + 50))
    arrivals = arrivals[arrivals < until_s]
    sigma = math.sqrt(math.log(1.25))
    service = dice.lognormal(math.log(service_s) - sigma**2 / 2, sigma, len(arrivals))
    free = [0.0] * places
    begins = np.empty_like(arrivals)
    for i, (at, takes) in enumerate(zip(arrivals, service, strict=True)):
        begins[i] = max(at, heapq.heappop(free))
        heapq.heappush(free, begins[i] + takes)
    return arrivals, begins, begins + service
