"""A warm prefix cache on a real vLLM: its honest hits are all explained by the prompts, those of a false reset are not."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from serving.endpoints import ServerEndpoints
from workbench.server_under_test import ServerUnderTest

CONFIG = {
    "model": {"name": "smollm2-135m-instruct", "max_model_len": 2048},
    "kv_cache": {"block_size": 32},
}
MeasuredCell = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def server(start_server: Any) -> Iterator[ServerUnderTest]:
    with start_server(CONFIG) as started:
        yield started


@pytest.mark.parametrize("workload", ["shared", "chat"])
def test_honest_hits_are_explained_to_the_token_and_a_false_reset_is_caught(
    server: ServerUnderTest, measured_cell: MeasuredCell, workload: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = measured_cell(server, workload=workload, streams=4, window_s=6.0)
    assert "cache_contaminated" not in honest["verdict"].values(), honest["reason"]
    hits = honest["findings"]["prefix_hits"]
    assert not hits["not_judged"]
    assert hits["hit_tokens"] == 0 or hits["hit_tokens"] <= hits["most_tokens"]
    monkeypatch.setattr(ServerEndpoints, "reset_prefix_cache", lambda _self: True)
    warm = measured_cell(server, workload=workload, streams=4, window_s=6.0)
    assert warm["verdict"]["throughput"] == warm["verdict"]["tails"] == "cache_contaminated", warm["findings"]
    assert "the prefix cache was warm" in warm["reason"]
