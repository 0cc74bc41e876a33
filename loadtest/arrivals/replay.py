"""The arrivals of a recorded trace: which prompts at which times, a part of it, faster or slower."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accounting.errors import ConfigError
from loadtest.arrivals.rate_profile import Floats
from loadtest.config import Replay
from loadtest.workloads.prompt import Prompt


@dataclass(frozen=True, slots=True)
class ReplaySchedule:
    """Arrivals in order of time; prompts of the same time keep the trace's order. Both of shape (arrivals,)."""

    prompts: NDArray[np.int64]  # index into the trace's prompts
    at_s: Floats  # seconds since the replay began

    def arrivals(self) -> Iterator[tuple[int, float]]:
        """(index of the prompt, seconds since the replay began) of each arrival in turn."""
        return zip(self.prompts.tolist(), self.at_s.tolist(), strict=True)


def replay_schedule(prompts: Sequence[Prompt], replay: Replay) -> ReplaySchedule:
    """When each prompt of the trace's part [start_s, start_s + duration_s) is sent: (at - start_s) / speed.

    Raises:
        ConfigError: if the prompts have no times, the part is empty, or speed or part are impossible.
    """
    _check(replay)
    untimed = next((prompt for prompt in prompts if prompt.at_s is None), None)
    if untimed is not None or not prompts:
        lacking = f"prompt {untimed.prompt_id!r} has no time of arrival" if untimed else "it has no prompts"
        raise ConfigError(
            f"the workload cannot be replayed as a trace: {lacking}",
            hint="replay a trace with time stamps, or give a rate or a number of streams instead",
        )
    times = np.array([prompt.at_s for prompt in prompts], dtype=np.float64)
    order = np.argsort(times, kind="stable")
    end_s = math.inf if replay.duration_s is None else replay.start_s + replay.duration_s
    taken = order[(times[order] >= replay.start_s) & (times[order] < end_s)]
    if not len(taken):
        raise ConfigError(
            f"nothing arrives from {replay.start_s:g} s to {end_s:g} s of the trace,"
            f" which has {len(times)} arrivals from {times.min():g} s to {times.max():g} s",
            hint="take another part of the trace",
        )
    return ReplaySchedule(taken.astype(np.int64), (times[taken] - replay.start_s) / replay.speed)


def _check(replay: Replay) -> None:
    if not (math.isfinite(replay.speed) and replay.speed > 0):
        raise ConfigError(
            f"the replay's speed is {replay.speed}; it must be above 0",
            hint="1 is the trace's own pace, 2 twice as fast",
        )
    if not (math.isfinite(replay.start_s) and replay.start_s >= 0):
        raise ConfigError(f"the replay starts at {replay.start_s} s of the trace; it must be 0 or more")
    if replay.duration_s is not None and not replay.duration_s > 0:
        raise ConfigError(f"the replay lasts {replay.duration_s} s of the trace; it must be more than 0")
