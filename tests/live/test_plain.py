"""The default model without speculation on real vLLM: nothing is drafted, one token per step."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from workbench.server_under_test import ServerUnderTest


@pytest.fixture(scope="module")
def server(start_server: Any) -> Iterator[ServerUnderTest]:
    """SmolLM2 as it is."""
    with start_server({"model": {"name": "smollm2-135m-instruct", "max_model_len": 2048}}) as s:
        yield s


def test_without_speculation_every_step_gives_one_token(
    server: ServerUnderTest, measured_cell: Callable[..., dict[str, Any]]
) -> None:
    cell = measured_cell(server, workload="chat", streams=4)
    assert cell["reconciled"], cell["reason"]
    assert cell["tokens_per_step"]["value"] == pytest.approx(1.0, abs=0.02)
    assert cell["acceptance_length"]["value"] is None
    assert "does not speculate" in cell["acceptance_length"]["reason"]
    assert cell["drafts"] is None
    assert "speculative_config.method" not in server.resolved
