"""What the load needs of gevent's event loop, and the only module beside the locustfile that imports it.

Reads are taken in the loop's own callback: a switch into a greenlet for every token would cost more than the
token. A request's greenlet sleeps until its answer is complete.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import heapq
import itertools
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

import gevent
import gevent.socket
from gevent import monkey
from gevent.event import Event
from gevent.hub import Waiter

_READ, _WRITE = 1, 2
_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK, _TFD_CLOEXEC, _TFD_TIMER_ABSTIME = 0o4000, 0o2000000, 1
_ITIMERSPEC = struct.Struct("@qqqq")


def plain_socket(connected: socket.socket) -> socket.socket:
    """The same connection as a non-blocking socket of the standard library, patched or not."""
    connected.settimeout(None)
    plain: socket.socket = monkey.get_original("socket", "socket")(fileno=connected.detach())
    plain.setblocking(False)
    return plain


def wait_writable(connection: socket.socket, timeout_s: float) -> None:
    """Let others run until the socket takes more bytes.

    Raises:
        TimeoutError: after `timeout_s`.
    """
    watcher = gevent.get_hub().loop.io(connection.fileno(), _WRITE)
    try:
        gevent.socket.wait(watcher, timeout_s, TimeoutError())
    finally:
        watcher.close()


class Readable:
    """Calls back, in the event loop, whenever one socket has something to read."""

    def __init__(self, connection: socket.socket) -> None:
        self._watcher = gevent.get_hub().loop.io(connection.fileno(), _READ)

    def run(self, on_readable: Callable[[], bool], timeout_s: float) -> None:
        """Call `on_readable` until it returns True; the calling greenlet sleeps meanwhile.

        Raises:
            TimeoutError: after `timeout_s`.
            Exception: whatever `on_readable` raises.
        """
        hub = gevent.get_hub()
        waiter = Waiter(hub)

        def ready() -> None:
            # Straight into the greenlet: behind the loop's other callbacks it would wait for every other stream's
            # read, and its next request would leave late.
            try:
                if on_readable():
                    waiter.switch(None)
            except Exception as error:  # noqa: BLE001 - carried over to the greenlet that waits
                waiter.throw(error)

        timer = hub.loop.timer(timeout_s)
        timer.start(waiter.throw, TimeoutError(), update=True)  # the loop's cached time may be old
        self._watcher.start(ready)
        try:
            waiter.get()
        finally:
            self._watcher.stop()
            timer.close()

    def close(self) -> None:
        """Free the watcher; before the socket is closed."""
        self._watcher.stop()
        self._watcher.close()


class Alarm:
    """Wakes greenlets at instants of the monotonic clock, to some ten microseconds where there is a timerfd.

    The loop's own timers round up to whole milliseconds: half a millisecond of lateness in every TTFT.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, Any]] = []
        self._numbers = itertools.count()
        self._fd = -1
        if sys.platform.startswith("linux"):
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self._fd >= 0:
            self._watcher = gevent.get_hub().loop.io(self._fd, _READ)
            self._watcher.start(self._ring)

    def spawn(self, run: Callable[..., None], *arguments: Any) -> object:
        """Run it in a greenlet of its own."""
        return gevent.spawn(run, *arguments)

    def sleep_until(self, at_s: float) -> None:
        """Return at `at_s` or as soon after it as this process gets to run; at once if it has passed."""
        wait_s = at_s - time.monotonic()
        if wait_s <= 0:
            return
        if self._fd < 0:
            gevent.sleep(wait_s)
            return
        rung: Any = Event()
        heapq.heappush(self._waiting, (at_s, next(self._numbers), rung))
        if self._waiting[0][2] is rung:
            self._set()
        rung.wait()

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, 8)
        now_s = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now_s:
            heapq.heappop(self._waiting)[2].set()
        if self._waiting:
            self._set()

    def _set(self) -> None:
        seconds, nanoseconds = divmod(max(1, round(self._waiting[0][0] * 1e9)), 10**9)
        setting = _ITIMERSPEC.pack(0, 0, seconds, nanoseconds)
        self._libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, setting, None)

    def close(self) -> None:
        """Free the timer."""
        if self._fd >= 0:
            self._watcher.stop()
            self._watcher.close()
            os.close(self._fd)
            self._fd = -1


def collect_garbage_seldom() -> None:
    """Keep the collector from walking everything that was loaded, and from running on its own.

    What a request leaves behind is freed by its reference counts; call `gc.collect(1)` now and then for the rest.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
