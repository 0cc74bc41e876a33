"""Lets the thread that reads a clock run as soon as it has something to do, where that is allowed.

A client that shares its cores with the server under test waits for them: engines poll, and on two cores an ordinary process
was seen to wait for milliseconds at every token and for more than a second now and then. What arrives meanwhile is stamped by
the kernel, but requests leave late, and the counters at a window's edge are read late. In the real-time class the same work is
done at once.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

#: The lowest: whoever has a better claim (a server of exact timing, the kernel's own threads) still comes first.
PRIORITY = 1


def run_at_once() -> bool:
    """Put the calling thread into the real-time class; False where the system does not allow it (not root, no limit for it).

    Its children and the threads that it starts later are ordinary again.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(PRIORITY))
    except OSError:
        return False
    return True


@contextlib.contextmanager
def running_at_once() -> Iterator[bool]:
    """`run_at_once` for a while; whether it is allowed."""
    if not sys.platform.startswith("linux"):
        yield False
        return
    policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    allowed = run_at_once()
    try:
        yield allowed
    finally:
        if allowed:
            # Only root may take the reset away again, and who may run in this class need not be root. It does no harm.
            os.sched_setscheduler(0, policy | os.SCHED_RESET_ON_FORK, parameter)
