"""Which process of this machine is the server under test: its CPU time is the measurement, not the host's noise."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

import psutil


def listening_pids(base_url: str) -> tuple[int, ...]:
    """Processes that listen on the port of a server on this machine; empty for one elsewhere, or another user's."""
    url = urlsplit(base_url)
    port = url.port or (443 if url.scheme == "https" else 80)
    if not is_here(base_url):
        return ()
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return ()
    return tuple(
        sorted(
            {
                c.pid
                for c in connections
                if c.pid is not None and c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port
            }
        )
    )


def is_here(base_url: str) -> bool:
    """Whether the address leads to the loopback interface or to another one of this machine."""
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(urlsplit(base_url).hostname or "", None)}
    except OSError:
        return False
    own = {a.address for interface in psutil.net_if_addrs().values() for a in interface}
    return any(ipaddress.ip_address(str(a).split("%")[0]).is_loopback or a in own for a in addresses)
