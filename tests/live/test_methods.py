"""One server per speculative method that runs on CPU, each measured through the product's own cell path.

`ngram` and `draft_model` have modules of their own. Every server here must draft and must reconcile; what a
method is good for is a question for experiments.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.live.untrained_eagle3_head import write_untrained_head
from workbench.models import resolve_model

TARGET = {"name": "smollm2-135m-instruct", "max_model_len": 1024}
HERE = Path(__file__).parent
MeasuredCell = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An EAGLE-3 head for the target: right in every shape, wrong in every draft."""
    target = resolve_model(str(TARGET["name"]), base_dir=HERE, report=lambda _text: None)
    directory = tmp_path_factory.mktemp("head")
    write_untrained_head(Path(target.served_from), directory)
    return directory


@pytest.fixture(scope="module")
def suffix_cells(start_server: Any, measured_cell: MeasuredCell) -> list[dict[str, Any]]:
    """The same prompts twice on one server, all caches that can be reset being reset between."""
    speculation = {"method": "suffix", "num_speculative_tokens": 8}
    with start_server({"model": TARGET, "speculation": speculation}) as server:
        return [measured_cell(server, workload="chat", streams=2, window_s=5.0) for _ in range(2)]


def drafted_and_reconciled(cell: dict[str, Any]) -> bool:
    """What every method must reach; the reason is shown where it does not."""
    assert cell["reconciled"], cell["reason"]
    assert cell["failed"] == 0
    assert cell["drafts"] > 0
    assert cell["acceptance_length"]["value"] is not None, cell["acceptance_length"]["reason"]
    return True


def test_suffix_decoding_drafts_and_reconciles(suffix_cells: list[dict[str, Any]]) -> None:
    assert drafted_and_reconciled(suffix_cells[0])


def test_suffix_decoding_remembers_answers_through_every_reset(suffix_cells: list[dict[str, Any]]) -> None:
    """Why an arm with suffix needs a server of its own for each cell."""
    first, second = suffix_cells
    assert second["caches_reset"]
    assert drafted_and_reconciled(second)
    assert second["acceptance_length"]["value"] > first["acceptance_length"]["value"] + 0.5
    assert second["tokens_per_step"]["value"] > first["tokens_per_step"]["value"]


def test_a_suffix_cache_that_knows_the_answers_is_caught(suffix_cells: list[dict[str, Any]]) -> None:
    first, second = (cell["verdict"] for cell in suffix_cells)
    assert "cache_contaminated" not in first.values(), suffix_cells[0]["reason"]
    assert set(second.values()) == {"cache_contaminated"}
    assert "the drafter remembers answers" in suffix_cells[1]["reason"]


def test_an_untrained_eagle3_head_drafts_three_tokens_a_step_and_is_never_right(
    head: Path, start_server: Any, measured_cell: MeasuredCell
) -> None:
    speculation = {"method": "eagle3", "model": str(head), "num_speculative_tokens": 3}
    with start_server({"model": TARGET, "speculation": speculation}) as server:
        cell = measured_cell(server, workload="chat", streams=2, window_s=5.0)
    assert drafted_and_reconciled(cell)
    assert cell["acceptance_length"]["value"] == pytest.approx(1.0, abs=0.02)
    assert cell["tokens_per_step"]["value"] == pytest.approx(1.0, abs=0.05)
    assert len(cell["acceptance_by_position"]) == 3


def test_a_class_of_ones_own_drafts_what_is_repeated(start_server: Any, measured_cell: MeasuredCell) -> None:
    speculation = {
        "method": "custom_class",
        "model": "repeating_proposer.RepeatingProposer",
        "python_path": str(HERE),
        "num_speculative_tokens": 4,
    }
    with start_server({"model": TARGET, "speculation": speculation}) as server:
        cell = measured_cell(server, workload="copy", streams=2, window_s=5.0)
    assert drafted_and_reconciled(cell)
    assert cell["acceptance_length"]["value"] > 1.5, "copying is what repeats"


def test_a_draft_with_another_tokenizer_is_right_now_and_then(
    start_server: Any, measured_cell: MeasuredCell
) -> None:
    """stories-15m (32,000 tokens) drafts for SmolLM2 (49,152): only tokens that both know."""
    speculation = {
        "method": "draft_model",
        "model": "stories-15m",
        "num_speculative_tokens": 3,
        "use_heterogeneous_vocab": True,
    }
    with start_server({"model": TARGET, "speculation": speculation}) as server:
        cell = measured_cell(server, workload="story", streams=2, window_s=5.0)
    assert drafted_and_reconciled(cell)
    assert 1.1 < cell["acceptance_length"]["value"] < 3
