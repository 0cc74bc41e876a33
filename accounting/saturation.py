"""Open loop: does the server keep up with the arrivals? If not, latency grows for as long as one measures.

A closed loop cannot saturate in this sense: its streams wait. In an open loop three things must be seen together,
because each alone has an innocent cause: the queue grows, TTFT grows, and fewer answers leave than requests come.
Growth is tested by ranks (`accounting/trend.py`), not by a straight line, whose fit to the sqrt(t) growth at exactly
full capacity tends to nothing (inference-sim #1614).

The thresholds were set on simulated queues of 4 to 64 places and windows of 25 to 300 s: at nine tenths of capacity
at most 5 % alarms, at 1.3 times capacity at least 95 %. Near capacity a window of a minute cannot decide:
at 1.0 a quarter alarms, at 1.05 a half. `delivered_share` stands beside it for that reason.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from accounting.trend import ORDERLY_TAU, Trend, trend

#: One-sided, each of the two slopes.
SIGNIFICANCE = 0.05
QUEUE_GROWTH = 0.10
TTFT_GROWTH = 0.20
DELIVERED_SHARE = 0.98


@dataclass(frozen=True, slots=True)
class Saturation:
    """Growth of the queue and of TTFT over the window, answers per request sent, and the finding in words.

    `queue` and `ttft` are None where there were too few values; `reason` is empty where the server kept up.
    """

    queue: Trend | None
    ttft: Trend | None
    delivered_share: float | None
    reason: str


def saturation(
    queue: NDArray[np.float64], ttft_s: NDArray[np.float64], *, sent: float, answered: float
) -> Saturation:
    """Judge an open loop from equally spaced values over its window.

    Args:
        queue: requests in the server, running and waiting.
        ttft_s: TTFT by time of sending, seconds; NaN where none.
        sent: requests meant to be sent inside the window.
        answered: answers that ended inside it.
    """
    in_queue, to_first = trend(queue), trend(ttft_s[~np.isnan(ttft_s)])
    delivered = answered / sent if sent else None
    grows = (
        in_queue is not None
        and to_first is not None
        and _grows(in_queue, QUEUE_GROWTH)
        and _grows(to_first, TTFT_GROWTH)
    )
    reason = ""
    if grows and in_queue and to_first and delivered is not None and delivered < DELIVERED_SHARE:
        reason = (
            f"the server does not keep up: its queue grew by {in_queue.change:+.0%} and TTFT by "
            f"{to_first.change:+.0%} over the window, {delivered:.0%} of the requests were answered in it"
        )
    return Saturation(in_queue, to_first, delivered, reason)


def _grows(found: Trend, floor: float) -> bool:
    significant = found.z > float(-ndtri(SIGNIFICANCE)) or found.tau >= ORDERLY_TAU
    return found.change >= floor and significant
