"""The process behind a server's address is found where it is ours to see."""

import os
import socket
from collections.abc import Iterator

import pytest

from workbench.local_server import listening_pids


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_process_that_listens_here_is_the_server(host: str, port: int) -> None:
    assert listening_pids(f"http://{host}:{port}/v1") == (os.getpid(),)


def test_a_connection_is_no_server(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connected:
        own = connected.getsockname()[1]
        assert listening_pids(f"http://127.0.0.1:{own}") == ()


@pytest.mark.parametrize("url", ["http://192.0.2.7:{port}", "http://no-such-host.invalid:{port}"])
def test_a_server_elsewhere_has_no_process_here(url: str, port: int) -> None:
    assert listening_pids(url.format(port=port)) == ()
