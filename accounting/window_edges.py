"""Were the counters read at the window's edges while the load went on? Else what they say is not of the load alone.

The load names the instants at which its window opens and closes, and goes on for a moment after (its tail), so that the
closing page is read under load. A machine that stands still, or whose process that reads is held up, reads too late: then
the load's end, and idle time after it, count as window.
"""

from __future__ import annotations

from collections.abc import Mapping

#: More of the window than this after the load's end moves throughput by as much: a fifth of what drift is judged at.
MOST_AFTER_THE_LOAD = 0.01
#: A window that begins late is shorter and not biased; but what held up the reading for so long held up more than that.
MOST_LOST = 0.1
LEAST_LOST_S = 1.0
_HELD_UP = "this machine held kilotoken up, or the server its page"


def late_edges(window_edges_s: tuple[float, float], stages_s: Mapping[str, float]) -> str:
    """What was read too late, empty if nothing was or where the load's stages are not known.

    Args:
        window_edges_s: when the two pages were read, monotonic seconds.
        stages_s: when the load's stages began, by name, monotonic seconds.
    """
    start_s, end_s = window_edges_s
    opened_s, closed_s, stopped_s = (stages_s.get(stage) for stage in ("window", "tail", "drain"))
    if opened_s is not None and closed_s is not None:
        lost_s = start_s - opened_s
        if lost_s > max(LEAST_LOST_S, MOST_LOST * (closed_s - opened_s)):
            return f"the window's first page was read {lost_s:.1f} s late: {_HELD_UP}"
    if stopped_s is not None and end_s - stopped_s > MOST_AFTER_THE_LOAD * (end_s - start_s):
        return f"the window's last page was read {end_s - stopped_s:.1f} s after the load's end: {_HELD_UP}"
    return ""
