"""One TCP or TLS connection: opened, written, read with the time of each read."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult

from loadtest.crowded_core import BEHIND_S, CrowdedCore
from loadtest.event_loop import Readable, plain_socket, wait_writable
from loadtest.receive_clock import ANCILLARY_BYTES, USER, arrival, ask_for_kernel_stamps

READ_BYTES = 65536
# uvicorn closes an idle connection after 5 s: one that was idle for almost as long may be closed while we write.
MAX_IDLE_S = 4.0

#: One for the process: its only thread that reads.
_core = CrowdedCore()

#: What takes a read: bytes (empty at the end of the connection), monotonic arrival, lag; True when it has enough.
TakeRead = Callable[[bytes, float, float | None], bool]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where to connect to."""

    tls: bool
    host: str
    port: int

    @classmethod
    def of(cls, url: SplitResult) -> Origin:
        """The origin of an address; the scheme decides TLS and the usual port."""
        tls = url.scheme == "https"
        return cls(tls, url.hostname or "127.0.0.1", url.port or (443 if tls else 80))

    @property
    def header(self) -> str:
        """As the Host header names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Connection:
    """An open connection. `clock` says whose stamps its reads carry: with TLS the kernel's fit no plain bytes."""

    def __init__(self, origin: Origin, *, timeout_s: float) -> None:
        """Connect.

        Raises:
            TimeoutError: if it takes longer.
            OSError: refused, unreachable, not trusted.
        """
        self.origin = origin
        self.idle_since_s: float | None = None
        opened = socket.create_connection((origin.host, origin.port), timeout=timeout_s)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._readable: Readable | None = None
        if origin.tls:
            self.clock = USER
            self._socket: socket.socket = ssl.create_default_context().wrap_socket(
                opened, server_hostname=origin.host
            )
        else:
            self._socket = plain_socket(opened)
            self.clock = ask_for_kernel_stamps(self._socket)
            self._readable = Readable(self._socket)

    @property
    def usable(self) -> bool:
        """Whether another request may be sent: neither closed by the server nor about to be."""
        idle_s = time.monotonic() - self.idle_since_s if self.idle_since_s is not None else 0.0
        return idle_s < MAX_IDLE_S and (self.origin.tls or not _has_ended(self._socket))

    def send(self, data: bytes, timeout_s: float) -> None:
        """Write everything.

        Raises:
            TimeoutError: if the peer does not take it in time.
        """
        if self.origin.tls:
            self._socket.settimeout(timeout_s)
            self._socket.sendall(data)
            return
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                wait_writable(self._socket, timeout_s)

    def receive(self, take: TakeRead, timeout_s: float) -> None:
        """Hand every read to `take` until it has enough.

        Raises:
            TimeoutError: after `timeout_s`.
            OSError: if the connection breaks.
        """
        if self._readable is not None:
            self._readable.run(self._stamped_reader(take), timeout_s)
            return
        deadline_s = time.monotonic() + timeout_s
        while True:
            self._socket.settimeout(max(deadline_s - time.monotonic(), 0.001))
            data = self._socket.recv(READ_BYTES)
            if take(data, time.monotonic(), None):
                return

    def _stamped_reader(self, take: TakeRead) -> Callable[[], bool]:
        """One read with its stamp at each call: a closure, because it runs once for every token."""
        recvmsg = self._socket.recvmsg
        behind = _core.behind

        def read() -> bool:
            try:
                data, ancillary, _, _ = recvmsg(READ_BYTES, ANCILLARY_BYTES)
            except BlockingIOError:
                return False
            at_s, lag_s = arrival(ancillary)
            if lag_s is not None and lag_s > BEHIND_S:
                behind()
            return take(data, at_s, lag_s)

        return read

    def close(self) -> None:
        """Close."""
        if self._readable is not None:
            self._readable.close()
        self._socket.close()


def _has_ended(connection: socket.socket) -> bool:
    """Whether an idle connection is readable: then the server closed it (or sent what it should not)."""
    try:
        connection.recv(1, socket.MSG_PEEK)
    except (BlockingIOError, InterruptedError):
        return False
    except OSError:
        return True
    return True
