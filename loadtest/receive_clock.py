"""When did bytes arrive: the kernel's stamp of a read where there is one, the client's own clock where there is not.

SO_TIMESTAMPING makes the kernel note when a packet came and hand it out with the bytes (`recvmsg` ancillary
data). A client that was busy elsewhere then still knows the truth, and the difference to its own clock is its
lag. Of one read TCP keeps only the stamp of the last bytes. See Linux, Documentation/networking/timestamping.rst.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Sequence

# Linux's numbers: the socket module has no names for them.
_SO_TIMESTAMPING = 37
_RX_SOFTWARE, _SOFTWARE = 1 << 3, 1 << 4
_STAMP = struct.Struct("@qq")  # struct timespec; the first of three is the software stamp
ANCILLARY_BYTES = socket.CMSG_SPACE(3 * _STAMP.size)

# Looked up once: this runs for every token.
_monotonic, _time_ns, _unpack_stamp, _SOL_SOCKET = (
    time.monotonic, time.time_ns, _STAMP.unpack_from, socket.SOL_SOCKET
)  # fmt: skip

KERNEL, USER = "kernel", "user"
# A stamp cannot be of the future, and no stall is this long: outside, the wall clock was set meanwhile.
_LONGEST_LAG_NS = 300 * 10**9

Ancillary = Sequence[tuple[int, int, bytes]]


def ask_for_kernel_stamps(connection: socket.socket) -> str:
    """Have the kernel stamp what arrives on this TCP socket. Returns the clock that its reads will have."""
    if not sys.platform.startswith("linux"):
        return USER
    try:
        connection.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _RX_SOFTWARE | _SOFTWARE)
    except OSError:
        return USER
    return KERNEL


def arrival(ancillary: Ancillary) -> tuple[float, float | None]:
    """Monotonic seconds of a read's last bytes, and the client's lag behind them; call it right after the read.

    The kernel stamps with the wall clock, which may be stepped; its distance from *now* is taken off the
    monotonic clock instead. Without a usable stamp: now, and None.
    """
    now_s, now_ns = _monotonic(), _time_ns()
    for level, kind, data in ancillary:
        if kind == _SO_TIMESTAMPING and level == _SOL_SOCKET and len(data) >= 16:
            seconds, nanoseconds = _unpack_stamp(data)
            lag_ns = now_ns - (seconds * 1_000_000_000 + nanoseconds)
            if 0 <= lag_ns < _LONGEST_LAG_NS:
                lag_s = lag_ns * 1e-9
                return now_s - lag_s, lag_s
    return now_s, None
