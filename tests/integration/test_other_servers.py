"""A server of another make: OpenAI's interface and nothing else, strict about fields that it does not know."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]

EXPERIMENT = """
name: other
arms:
  running: {{url: "{url}/v1"}}
workloads: [chat]
loads: {{streams: [2]}}
output: {{max_tokens: 16}}
window: {{minimum_s: 1.5, warm_up_s: 0.3}}
repeats: 1
request_timeout_s: 5
price: {{usd_per_hour: 3.6, source: declared for a test, as_of: 2026-11-22}}
"""
KNOWN = {"model", "messages", "max_tokens", "temperature", "stream", "stream_options"}
WORDS = ["One", " two", " three", " four", " five", " six"]


class Handler(BaseHTTPRequestHandler):
    """Lists one model and streams six words, with the usage in a last event."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # events must not wait for one another

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self._json(200, {"object": "list", "data": [{"id": "theirs", "owned_by": "somebody"}]})
        else:
            self._json(404, {"error": {"message": "not found"}})

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("content-length", 0)))
        body = json.loads(content) if content else {}
        strange = sorted(set(body) - KNOWN) + sorted(set(body.get("stream_options", {})) - {"include_usage"})
        if self.path != "/v1/chat/completions":
            self._json(404, {"error": {"message": "not found"}})
        elif strange:
            self._json(400, {"error": {"message": f"Unknown parameter: {strange[0]}"}})
        else:
            self._stream()

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for word in WORDS:
            self._event({"choices": [{"delta": {"content": word}, "finish_reason": None}]})
            time.sleep(0.004)
        self._event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        self._event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": len(WORDS)}})
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _event(self, value: object) -> None:
        self._chunk(b"data: " + json.dumps(value).encode() + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _json(self, status: int, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def other_server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_it_is_measured_by_what_it_states_and_told_what_it_does_not(
    other_server: str, tmp_path: Path, kilotoken: Command
) -> None:
    (tmp_path / "other.yaml").write_text(EXPERIMENT.format(url=other_server))
    done = kilotoken("run", "other.yaml", "--out", "out")
    assert done.returncode == 0, done.stdout + done.stderr
    (cell,) = json.loads(kilotoken("show", "out", "--json").stdout)["cells"]
    assert cell["failed"] == 0, "nothing was sent that it does not know"
    assert cell["requests"] > 20
    assert cell["token_source"] == "usage"
    assert cell["output_tokens_per_s"] == pytest.approx(
        len(WORDS) * cell["requests"] / cell["window_s"], rel=0.1
    )
    assert cell["ttft_s"]["p50"] < 0.1
    assert cell["tpot_s"]["p50"] is None
    assert cell["tpot_s"]["reason"] == "the server does not say how many tokens its events carry"
    assert cell["verdict"]["throughput"] == "unreconciled"
    assert cell["acceptance_length"] is None


def test_it_cannot_be_the_baseline_of_natural_lengths_and_that_is_said_before_anything_starts(
    other_server: str, tmp_path: Path, kilotoken: Command
) -> None:
    natural = EXPERIMENT.format(url=other_server).replace("{max_tokens:", "{length: natural, max_tokens:")
    (tmp_path / "other.yaml").write_text(natural)
    refused = kilotoken("run", "other.yaml", "--out", "out")
    assert refused.returncode == 2
    assert "recorded on arms.running, needs a vLLM server" in refused.stderr
    assert "`length: free`, or make an arm that is vLLM the `baseline`" in refused.stderr
    assert not (tmp_path / "out").exists()
