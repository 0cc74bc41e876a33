"""Which port a server listens on: a free one, or the user's if nobody has it."""

from __future__ import annotations

import socket

from accounting.errors import MachineError


def free_port(host: str = "127.0.0.1") -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def claim_port(port: int, host: str = "127.0.0.1") -> int:
    """The port itself if it can be bound; 0 asks for any free one.

    Raises:
        MachineError: if the port is in use or may not be bound.
    """
    if port == 0:
        return free_port(host)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise MachineError(
                f"port {port} on {host} cannot be used: {error.strerror}.",
                hint="Choose another with --port, or leave it out and a free one is taken.",
            ) from error
    return port
