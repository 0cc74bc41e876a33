"""TLS: the kernel's stamps fit no plain bytes, so the clock is the client's own, and the record says so."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from accounting.records import Outcome, Phase, RequestRecord
from loadtest.streaming_client import Send, StreamingClient
from tests.accounting import latency_of_one

# Made for this test, valid for localhost only, worth nothing: openssl req -x509 -newkey ec ... -days 36500
HERE = Path(__file__).with_name("tls")
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n'
    b"data: [DONE]\n\n"
)


@contextmanager
def tls_server() -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(HERE / "localhost.pem", HERE / "localhost.key")
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        raw, _ = listener.accept()
        try:
            with context.wrap_socket(raw, server_side=True) as connection:
                connection.recv(65536)
                connection.sendall(ANSWER)
        except OSError:
            raw.close()  # the client did not trust us

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield f"https://localhost:{listener.getsockname()[1]}"
    finally:
        thread.join()
        listener.close()


def ask(url: str) -> RequestRecord:
    kept: list[RequestRecord] = []
    with closing(StreamingClient(url, timeout_s=10.0)) as client:
        client.run(Send("1", Phase.MEASURED, 0, "chat", "p", "t", 0, 0.0, b"{}"), kept.append)
    return kept[0]


def test_over_tls_the_clock_is_the_clients_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(HERE / "localhost.pem"))
    with tls_server() as url:
        record = ask(url)
    assert record.ok, record.error
    assert record.clock == "user"
    assert record.unstamped_reads == 0
    assert len(latency_of_one.client_lags_s(record)) == 0


def test_a_certificate_that_nobody_vouches_for_is_a_connection_failure() -> None:
    with tls_server() as url:
        record = ask(url)
    assert record.outcome is Outcome.CONNECTION
    assert "certificate" in record.error.lower()
