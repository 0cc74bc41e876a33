"""A quantised copy made here, and the engine that really runs it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.models.cache import cache_root, remove_directory
from serving.models.copies import copies_dir
from workbench.quantise_model import quantise_model

NAME = "smollm2-135m-instruct-int8-of-a-test"


@pytest.fixture(scope="module")
def copy() -> Iterator[str]:
    """Made in the user's own cache, where its parent is, and removed again."""
    root = cache_root()
    made = quantise_model(
        "smollm2-135m-instruct", scheme_name="int8", new_name=NAME, base_dir=Path.cwd(), device="cpu",
        root=root, report=lambda _stage, _done, _total: None,
    )  # fmt: skip
    yield made.name
    remove_directory(copies_dir(root) / NAME)


def test_it_answers_and_the_engine_says_that_it_is_quantised(
    copy: str,
    start_server: Any,
    chat: Callable[..., dict[str, Any]],
    measured_cell: Callable[..., dict[str, Any]],
) -> None:
    with start_server({"model": {"name": copy, "max_model_len": 1024}}) as server:
        assert server.resolved["model_config.quantization"] == "compressed-tensors"
        answer = chat(server, "Complete the sentence: The capital of France is")
        assert "Paris" in answer["choices"][0]["message"]["content"]
        cell = measured_cell(server, workload="chat", streams=2, window_s=5.0)
        assert cell["reconciled"], cell["reason"]
        assert cell["failed"] == 0
