"""A small score and the likelihood of right answers through a real vLLM."""

from pathlib import Path
from typing import Any

import pytest

from workbench.quality.evaluation import evaluate_items
from workbench.quality.items import QualityItem, chosen_items
from workbench.quality.journal import opened
from workbench.quality.result import summarised
from workbench.quality.sets import load_set


@pytest.fixture(scope="module")
def found(start_server: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Six questions of gsm8k with short answers, their references, and the same references spoilt."""
    chosen = chosen_items(load_set("gsm8k", base_dir=Path()), 6, 1)
    items = tuple(replaced(item, item.item_id, item.reference) for item in chosen)
    spoilt = tuple(replaced(item, f"{item.item_id}-spoilt", item.reference[::-1]) for item in chosen)
    journal_file = tmp_path_factory.mktemp("quality") / "items.jsonl"
    model = {"name": "smollm2-135m-instruct", "dtype": "float32", "max_model_len": 2048}
    with start_server({"model": model}) as server, opened(journal_file, {}) as journal:
        evaluate_items(server, items + spoilt, journal, concurrency=8, report=lambda _done, _total: None)
        return {"right": summarised(items, journal.outcomes), "spoilt": summarised(spoilt, journal.outcomes)}


def replaced(item: QualityItem, item_id: str, reference: str) -> QualityItem:
    return QualityItem(item_id, reference, item.expected, item.judging, 60, messages=item.messages)


def test_every_item_is_answered_and_weighed(found: dict[str, Any]) -> None:
    right = found["right"]
    assert right["failures"] == 0, right["failure_reasons"]
    assert right["perplexity"]["items"] == 6
    assert right["perplexity"]["reason"] == ""
    assert right["perplexity"]["tokens"] > 6 * 20


def test_the_perplexity_is_that_of_a_model_that_knows_english(found: dict[str, Any]) -> None:
    """Far from a guess over 49,152 tokens, and far better than on the same letters backwards."""
    assert 1.2 < found["right"]["perplexity"]["value"] < 30
    assert found["spoilt"]["perplexity"]["value"] > 5 * found["right"]["perplexity"]["value"]
