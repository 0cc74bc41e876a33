"""A drafter that drafts nothing and makes every step longer by a given share: a slowdown of known size on a real server.

vLLM imports it in the server by `sleeping_proposer.SleepingProposer` (method `custom_class`); nothing of vLLM is needed. The
share stands in the environment, KILOTOKEN_PLANTED_SLOWDOWN (0.05: each step takes 5 % longer). Nothing is hard-coded
about the step: the time since the last call ended is what the step took, and that share of it is slept.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from typing import Any

VARIABLE = "KILOTOKEN_PLANTED_SLOWDOWN"
#: Time since the last call counts as a step only up to so many usual ones: beyond it the server was idle.
IDLE_FROM_STEPS = 3.0
REMEMBERED_STEPS = 101


class PlantedSlowdown:
    """How long to sleep after each step, so that all steps take `share` longer. Sleeps that last too long are made up for."""

    def __init__(
        self,
        share: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"{VARIABLE} is {share}; it must be a share from 0 to 1")
        self._share, self._clock, self._sleep = share, clock, sleep
        self._steps_s: deque[float] = deque(maxlen=REMEMBERED_STEPS)
        self._ended_s: float | None = None
        self._owed_s = 0.0

    def after_step(self) -> None:
        """To be called once at the end of each step."""
        if self._share == 0.0:
            return
        now_s = self._clock()
        if self._ended_s is not None:
            self._owed_s += self._share * self._usual(now_s - self._ended_s)
        if self._owed_s > 0.0:
            self._sleep(self._owed_s)
        self._ended_s = self._clock()
        self._owed_s -= self._ended_s - now_s

    def _usual(self, step_s: float) -> float:
        """The step's time, or the usual one where the server was idle in between."""
        self._steps_s.append(step_s)
        usual_s = sorted(self._steps_s)[len(self._steps_s) // 2]
        return step_s if step_s <= IDLE_FROM_STEPS * usual_s else usual_s


class SleepingProposer:
    """What vLLM's `custom_class` wants of a drafter."""

    def __init__(self, _vllm_config: Any) -> None:
        self._slowdown = PlantedSlowdown(float(os.environ.get(VARIABLE, "0")))

    def load_model(self, *_args: Any, **_named: Any) -> None:
        """vLLM calls it on CPU for every drafter; there are no weights."""

    def propose(self, sampled_token_ids: list[list[int]], *_args: Any, **_named: Any) -> list[list[int]]:
        """No drafts, for each request, a little later."""
        self._slowdown.after_step()
        return [[] for _ in sampled_token_ids]
