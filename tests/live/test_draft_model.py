"""stories-15m drafting for itself: nearly every token must be accepted, or the path is broken."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from accounting.errors import ServerError
from serving.config import ServerConfig
from serving.declared import departures
from serving.vllm_names import NEWEST

DRAFTED = 3


def test_a_model_that_drafts_for_itself_is_nearly_always_right_and_kill_9_leaves_nothing(
    start_server: Any, chat: Callable[..., dict[str, Any]], measured_cell: Callable[..., dict[str, Any]]
) -> None:
    """One start for both: the kill ends the server that the cell was measured on."""
    speculation = {"method": "draft_model", "model": "stories-15m", "num_speculative_tokens": DRAFTED}
    config = {
        "model": {"name": "stories-15m", "max_model_len": 512},
        "speculation": speculation,
        "batching": {"max_num_seqs": 16, "async_scheduling": True},
    }
    with start_server(config) as server:
        found = departures(ServerConfig.model_validate(config), server.resolved, NEWEST)
        assert [(d.field, d.declared, d.resolved) for d in found] == [
            ("batching.async_scheduling", True, False)  # vLLM turns it off on CPU without a word
        ]
        answer = chat(server, "Once upon a time, there was a little girl named Lily.", 40)
        assert len(answer["choices"][0]["message"]["content"].split()) > 15
        cell = measured_cell(server, workload="story", streams=2, window_s=5.0)
        assert cell["reconciled"], cell["reason"]
        assert cell["acceptance_length"]["value"] == pytest.approx(DRAFTED + 1, abs=0.4)
        assert cell["tokens_per_step"]["value"] > 3
        assert len(cell["acceptance_by_position"]) == DRAFTED

        api_server = psutil.Process(server.process.pid)
        tree = [api_server, *api_server.children(recursive=True)]
        assert len(tree) >= 3, "API server, engine core, worker"
        os.kill(api_server.pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while [p for p in tree if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]:
            assert time.monotonic() < deadline, "an engine process was orphaned"
            time.sleep(0.2)
        while server.process.ended is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with pytest.raises(ServerError, match="was killed by SIGKILL"):
            server.check_alive("in mid-cell")
