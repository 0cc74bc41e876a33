"""The learning rate by the share of a training that is done: a straight rise, then half a cosine down."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """`peak` is reached after the share `warm_up` of all steps; the last step has `floor` of it."""

    peak: float
    warm_up: float = 0.05
    floor: float = 0.02

    def at(self, done: float) -> float:
        """The rate when the share `done` (0 to 1) of all steps is done; never 0, so that the first step learns."""
        if done < self.warm_up:
            return self.peak * max(done / self.warm_up, 0.01)
        falling = (done - self.warm_up) / max(1.0 - self.warm_up, 1e-9)
        cosine = 0.5 * (1.0 + math.cos(math.pi * min(falling, 1.0)))
        return self.peak * (self.floor + (1.0 - self.floor) * cosine)
