"""Leaves a core on which something with a better claim keeps running: a real-time thread, an interrupt's work.

A process that is preempted again and again on one core can stay there for a hundred milliseconds while another core has
room: the kernel balances load seldom, and a core with one ordinary process looks balanced. Everything that arrives
meanwhile is stamped by the kernel, but answers that end are followed up late. Asking for the other cores for an instant
moves the process at once.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import time
from collections.abc import Callable

#: So far behind the kernel's stamps a client looks whether it was preempted, and not more often than this.
BEHIND_S = 0.001
LOOK_EVERY_S = 0.001
#: Preemptions since the last look that make a core crowded.
CROWDED = 3


class CrowdedCore:
    """Moves the calling thread. `clock` and the system's calls are passed in."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        preemptions: Callable[[], int] = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw,
        move: Callable[[], bool] | None = None,
    ) -> None:
        self._clock, self._preemptions = clock, preemptions
        self._move = move or _mover()
        self._looked_s = clock()
        self._counted = preemptions()
        self.moves = 0

    def behind(self) -> None:
        """The client is behind: leave the core if others keep taking it."""
        now_s = self._clock()
        if now_s - self._looked_s < LOOK_EVERY_S:
            return
        counted = self._preemptions()
        crowded = counted - self._counted >= CROWDED
        self._looked_s, self._counted = now_s, counted
        if crowded and self._move():
            self.moves += 1


def _mover() -> Callable[[], bool]:
    """Moves to another of the allowed cores and then allows all again; does nothing where there is no other."""
    if not sys.platform.startswith("linux"):
        return lambda: False
    which_core = ctypes.CDLL(None).sched_getcpu

    def move() -> bool:
        allowed = os.sched_getaffinity(0)
        others = allowed - {which_core()}
        if not others:
            return False
        try:
            os.sched_setaffinity(0, others)
            os.sched_setaffinity(0, allowed)
        except OSError:
            return False
        return True

    return move
