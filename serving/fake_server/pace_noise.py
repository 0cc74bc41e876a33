"""How a server's speed varies: one draw per server life, one per second within it. What real blocks show, on request.

All streams share it, as they share a machine. Speed is the scripted pace times exp(N(0, block_noise) + N(0, step_noise)).
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from accounting.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceNoise:
    """Standard deviations of the logarithm of speed: of a server life (`block_noise`), of a second in it (`step_noise`).

    `life` names the server life: draws follow from it and the server's seed, so the same name gives the same noise.
    """

    block_noise: float = 0.0
    step_noise: float = 0.0
    life: str = ""

    def __post_init__(self) -> None:
        for name in ("block_noise", "step_noise"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}; it must be 0 to 1",
                    hint="it is the standard deviation of the logarithm of speed: 0.05 is about 5 %",
                )


class Pace:
    """The speed of one server life, relative to the scripted one."""

    def __init__(self, noise: PaceNoise, seed: int) -> None:
        self._noise = noise
        self._name = f"{seed} {noise.life}"
        self.block = noise.block_noise * random.Random(f"block {self._name}").gauss(0.0, 1.0)
        self._second = (-1, 1.0)  # the one that is going on, and its speed

    def speed_at(self, at_s: float) -> float:
        """Speed at an instant of a monotonic clock: 1.0 is the scripted pace, 1.1 takes a tenth less per step."""
        second = math.floor(at_s)
        if second != self._second[0]:
            own = self._noise.step_noise * random.Random(f"second {self._name} {second}").gauss(0.0, 1.0)
            self._second = (second, math.exp(self.block + own))
        return self._second[1]
