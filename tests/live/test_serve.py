"""`kilotoken serve` as a user runs it, on real vLLM without speculation; then measured as a running server."""

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from workbench.experiment import AttachSection
from workbench.server_under_test import ServerUnderTest, attached_server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The command in the foreground of its own directory, and the URL that it printed."""
    directory = tmp_path_factory.mktemp("serve")
    (directory / "server.yaml").write_text(
        "model: {name: smollm2-135m-instruct, max_model_len: 2048}\n"
        "engine: {enforce_eager: true, startup_deadline_s: 400}\nbatching: {max_num_seqs: 16}\n"
    )
    command = [str(Path(sys.executable).with_name("kilotoken")), "serve", "server.yaml", "--port", "0"]
    child = subprocess.Popen(command, cwd=directory, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    said = ""
    for line in child.stderr:
        said += line
        if "Ctrl-C ends it" in line:
            break
    found = re.search(r"at (http://127\.0\.0\.1:\d+)/v1", said)
    assert found, said
    yield child, found.group(1)
    tree = psutil.Process(child.pid).children(recursive=True)
    child.send_signal(signal.SIGINT)
    code = child.wait(timeout=40)
    child.stderr.close()
    # Not a test of its own: tests run in any order, and this must come last.
    assert len(tree) >= 4, "supervisor, API server, engine core, worker"
    assert code == 0
    assert not [p for p in tree if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_it_answers_a_chat_with_a_sensible_sentence(served: tuple["subprocess.Popen[str]", str]) -> None:
    """Sent as the printed curl line sends it. Asked so that no token is near a tie: other kernels must not flip the answer."""
    body = {
        "model": "smollm2-135m-instruct",
        "messages": [{"role": "user", "content": "Complete the sentence: The capital of France is"}],
        "temperature": 0,
    }
    request = urllib.request.Request(
        f"{served[1]}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answered:
        answer = json.load(answered)
    assert "Paris" in answer["choices"][0]["message"]["content"]


def test_a_deployed_server_does_not_open_development_endpoints(
    served: tuple["subprocess.Popen[str]", str],
) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{served[1]}/server_info?config_format=json", timeout=30)


def test_without_speculation_every_step_gives_one_token(
    served: tuple["subprocess.Popen[str]", str], measured_cell: Callable[..., dict[str, Any]]
) -> None:
    """The served server is attached to and measured; its cache cannot be reset, so prompts are salted apart."""
    with attached_server(AttachSection(url=served[1])) as server:
        assert isinstance(server, ServerUnderTest)
        cell = measured_cell(server, workload="chat", streams=4)
    assert cell["reconciled"], cell["reason"]
    assert cell["tokens_per_step"]["value"] == pytest.approx(1.0, abs=0.02)
    assert cell["acceptance_length"]["value"] is None
    assert "does not speculate" in cell["acceptance_length"]["reason"]
    assert cell["drafts"] is None
    assert cell["caches_reset"] is False
    assert cell["cache_salted"] is True
    assert cell["prefix_cache_hit_share"] < 0.05
    # The window of a test is too short; the host may have been busy with others, but nothing else may be found.
    assert cell["verdict"]["throughput"] in ("too_short", "noisy_host"), cell["reason"]
    assert "cache" not in cell["reason"]
