"""Which numbered prompt leaves when, in one process of an open loop or a replay: warm-up first, then what is measured.

All processes make the same schedule and walk their own share of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, takewhile

from accounting.records import Phase
from loadtest.arrivals import RateProfile, ReplaySchedule, open_arrivals, own_share, replay_schedule
from loadtest.asking import Prompts
from loadtest.config import ClosedLoop, LoadSpec, OpenLoop, RateSegment, Replay

# Any other seed would do: warm-up and measurement must not be the same draw.
_WARM_UP_SEED = 0x57A7


def measured_schedule(spec: LoadSpec, prompts: Prompts, *, worker: int) -> Iterator[tuple[int, float]]:
    """(number of the prompt, seconds since the warm-up ended), this worker's share.

    Raises:
        ConfigError: if the rates, or the trace's part, are impossible.
    """
    arrivals = spec.arrivals
    assert not isinstance(arrivals, ClosedLoop)
    if isinstance(arrivals, Replay):
        whole = _replay(arrivals, prompts).arrivals()
    else:
        whole = open_arrivals(arrivals, seed=spec.order_seed)
    return own_share(islice(whole, spec.stages.requests), worker=worker, workers=spec.processes)


def warm_up_schedule(spec: LoadSpec, prompts: Prompts, *, worker: int) -> Iterator[tuple[int, float]]:
    """(number of the warm-up prompt, seconds since the start): as bursty as the load, at the rate it begins with."""
    loop = _warm_up_loop(spec, prompts)
    arrivals = takewhile(
        lambda arrival: arrival[1] < spec.stages.warm_up_s,
        open_arrivals(loop, seed=spec.order_seed ^ _WARM_UP_SEED),
    )
    return own_share(arrivals, worker=worker, workers=spec.processes)


def _warm_up_loop(spec: LoadSpec, prompts: Prompts) -> OpenLoop:
    arrivals = spec.arrivals
    assert not isinstance(arrivals, ClosedLoop)
    if isinstance(arrivals, Replay):
        schedule = _replay(arrivals, prompts)
        rate, cv = len(schedule.at_s) / max(float(schedule.at_s[-1]), 1.0), 1.0
    else:
        rate, cv = float(RateProfile(arrivals.rates).rate(0.0)), arrivals.cv
    return OpenLoop((RateSegment(max(rate, 1e-6), max(rate, 1e-6), 0.0),), cv)


def _replay(replay: Replay, prompts: Prompts) -> ReplaySchedule:
    return replay_schedule(prompts.of(Phase.MEASURED), replay)
