"""How long a stream waits between an answer and its next request.

The kind changes how the waits scatter, never their mean: the load that N streams offer depends on the mean
alone, and a kind that shifted it would pass a change of load off as burstiness.
"""

from __future__ import annotations

import math
import random

from loadtest.config import ClosedLoop


def think_time_s(loop: ClosedLoop, *, seed: int, stream: int, turn: int) -> float:
    """Seconds; a function of seed, stream and turn alone, whichever process runs the stream."""
    if loop.think_time_kind == "constant" or loop.think_time_s == 0:
        return loop.think_time_s
    # A string seeds by its bytes: equal in all processes, unlike hash().
    uniform = random.Random(f"think {seed} {stream} {turn}").random()
    return -loop.think_time_s * math.log1p(-uniform)
