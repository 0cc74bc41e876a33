"""When a scripted answer's chunks leave, and how many tokens each carries.

Every stream is paced against deadlines counted from the moment it got its slot, so that a late wake-up never
delays the chunks after it. All times are seconds.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from accounting.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The pace of every answer.

    `ttft_s` runs from the slot to the first token and `tpot_s` from one decode step to the next.
    `tokens_per_chunk` is one number or a list that repeats; it scripts decode steps only, because the step
    that reads the prompt always yields one token, with and without speculation. Requests beyond
    `max_concurrency` wait for a slot. `jitter_s` moves each deadline by up to that much either way.
    """

    ttft_s: float = 0.02
    tpot_s: float = 0.005
    tokens_per_chunk: int | tuple[int, ...] = 1
    max_concurrency: int = 64
    jitter_s: float = 0.0

    def __post_init__(self) -> None:
        for name in ("ttft_s", "tpot_s", "jitter_s"):
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"timing.{name} is {getattr(self, name)}; it must be 0 or more seconds")
        if not self.script or min(self.script) < 1:
            raise ConfigError(
                f"timing.tokens_per_chunk is {self.tokens_per_chunk}; every chunk must carry 1 token or more"
            )
        if self.max_concurrency < 1:
            raise ConfigError(f"timing.max_concurrency is {self.max_concurrency}; it must be 1 or more")

    @property
    def script(self) -> tuple[int, ...]:
        """Tokens of each decode step in turn; after the last the script starts over."""
        if isinstance(self.tokens_per_chunk, int):
            return (self.tokens_per_chunk,)
        return tuple(self.tokens_per_chunk)


def step_sizes(timing: Timing) -> Iterator[int]:
    """Tokens that each step would yield if the answer never ended: 1 for the prompt's, then the script."""
    return itertools.chain((1,), itertools.cycle(timing.script))


def deadlines_s(
    timing: Timing, rng: random.Random, speed_at: Callable[[float], float] = lambda _planned_s: 1.0
) -> Iterator[float]:
    """Seconds after the slot at which each step is due; they never go backwards, however large the jitter.

    `speed_at` gives the server's speed when a step begins, by seconds after the slot.
    """
    due_s = planned_s = 0.0
    for step in itertools.count():
        planned_s += (timing.tpot_s if step else timing.ttft_s) / speed_at(planned_s)
        moved_s = rng.uniform(-timing.jitter_s, timing.jitter_s) if timing.jitter_s else 0.0
        due_s = max(due_s, planned_s + moved_s)
        yield due_s
