"""The open loop's schedule: a renewal process of unit rate, carried through the inverse of the expected arrivals.

The gaps between arrivals are gamma distributed with mean 1 and the coefficient of variation asked for (shape
1 / cv^2; 1 is Poisson; 0 is constant). Carrying them through `RateProfile.instant_s` gives any rate that changes
with time (Cinlar's inversion) and leaves the burstiness alone.

The process is *stationary*: its first arrival is drawn from the time that a passer-by waits for the next one,
not from a whole gap. For every cv the expected number of arrivals in any span is then exactly the integral of
the rate, so that burstiness is compared at equal load: with a whole gap first, (cv^2 - 1) / 2 requests more would
arrive at the beginning. A constant process so begins at a random phase of its gap, the same for a seed.

All rates and shapes of one seed share their random numbers where they can: twice the rate gives the same
schedule in half the time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from accounting.errors import ConfigError
from loadtest.arrivals.rate_profile import Floats, RateProfile
from loadtest.config import OpenLoop

_BLOCK = 4096
_LEAST_CV, _MOST_CV = 0.001, 100.0  # beyond, a gap is nothing or for ever


def open_schedule(loop: OpenLoop, *, seed: int, until_s: float) -> Floats:
    """Every arrival before `until_s`: float64 seconds since the rates began, in order. Shape (arrivals,).

    Raises:
        ConfigError: if the rates or the cv are impossible.
    """
    kept: list[Floats] = []
    for block in arrival_blocks(loop, seed=seed):
        kept.append(block[block < until_s])
        if block[-1] >= until_s:
            break
    return np.concatenate(kept) if kept else np.empty(0)


def open_arrivals(loop: OpenLoop, *, seed: int) -> Iterator[tuple[int, float]]:
    """(number, seconds since the rates began) of each arrival in turn; as many as are asked for.

    Raises:
        ConfigError: if the rates or the cv are impossible.
    """
    blocks = arrival_blocks(loop, seed=seed)
    return enumerate(at_s for block in blocks for at_s in block.tolist())


def arrival_blocks(loop: OpenLoop, *, seed: int) -> Iterator[Floats]:
    """The schedule in non-empty blocks, without end unless the last rate is 0.

    Raises:
        ConfigError: if the rates or the cv are impossible.
    """
    profile = RateProfile(loop.rates)
    if loop.cv != 0 and not _LEAST_CV <= loop.cv <= _MOST_CV:
        raise ConfigError(
            f"cv is {loop.cv:g}; the gaps' coefficient of variation must be 0 (constant),"
            f" or {_LEAST_CV:g} to {_MOST_CV:g}",
            hint="1 is poisson, 2 and more are bursts",
        )
    return _warped(profile, _unit_blocks(loop.cv, seed))


def _warped(profile: RateProfile, blocks: Iterator[Floats]) -> Iterator[Floats]:
    for block in blocks:
        instants = profile.instant_s(block)
        finite = instants[np.isfinite(instants)]
        if len(finite):
            yield finite
        if len(finite) < len(block):
            return


def _unit_blocks(cv: float, seed: int) -> Iterator[Floats]:
    """Arrivals of the stationary process whose gaps have mean 1, in blocks."""
    # The generator is named: `default_rng` may become another one, and seeds would mean something else.
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([0xA221, seed % 2**64])))
    phase = rng.random()
    if cv == 0:
        for start in range(0, 2**62, _BLOCK):
            yield phase + np.arange(start, start + _BLOCK, dtype=np.float64)
    shape, scale = 1 / cv**2, cv**2
    # What is left of a gap that a passer-by meets: he meets long ones more often, and anywhere in them.
    now = phase * rng.gamma(shape + 1, scale)
    while True:
        gaps = rng.gamma(shape, scale, _BLOCK)
        arrivals = now + np.append(0.0, np.cumsum(gaps))
        yield arrivals[:-1]
        now = float(arrivals[-1])
