"""Every example once an epoch, within the tokens of a batch, in an order that follows from the seed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="comes with the engine")

from accounting.errors import ConfigError, MachineError  # noqa: E402
from drafts.training.batches import epoch_batches, padded  # noqa: E402
from drafts.training.examples import ExampleFile  # noqa: E402


@given(st.lists(st.integers(1, 300), min_size=1, max_size=200), st.integers(1, 9), st.integers(0, 3))
def test_each_example_once_and_no_batch_too_large(lengths: list[int], seed: int, epoch: int) -> None:
    sizes = np.array(lengths)
    batches = epoch_batches(sizes, tokens=512, seed=seed, epoch=epoch)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert all(len(batch) * sizes[batch].max() <= 512 for batch in batches)
    again = epoch_batches(sizes, tokens=512, seed=seed, epoch=epoch)
    assert [batch.tolist() for batch in batches] == [batch.tolist() for batch in again]


def test_another_epoch_another_order() -> None:
    sizes = np.full(64, 100)
    first, second = (epoch_batches(sizes, tokens=400, seed=1, epoch=epoch) for epoch in (0, 1))
    assert [batch.tolist() for batch in first] != [batch.tolist() for batch in second]


def traces(path: Path, *answers: dict[str, object]) -> Path:
    lines = [
        json.dumps({"id": str(n), "label": "chat", "model": "m", **answer})
        for n, answer in enumerate(answers)
    ]
    path.write_text("\n\n".join(lines) + "\n")
    return path


def test_an_answer_is_learned_and_its_prompt_is_not(tmp_path: Path) -> None:
    file = traces(
        tmp_path / "t.jsonl",
        {"prompt_token_ids": [1, 2, 3], "output_token_ids": [4, 5]},
        {"prompt_token_ids": [6], "output_token_ids": [7, 8, 9]},
    )
    examples = ExampleFile(file, longest=100)
    assert (len(examples), examples.model, examples.lengths.tolist()) == (2, "m", [5, 4])
    batch = padded([0, 1], [examples[0], examples[1]])
    assert batch.tokens.tolist() == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 0]]
    assert batch.learned.tolist() == [[False] * 3 + [True] * 2, [False] + [True] * 3 + [False]]


def test_a_long_prompt_loses_its_beginning_and_a_long_answer_its_end(tmp_path: Path) -> None:
    long_prompt = {"prompt_token_ids": list(range(1, 31)), "output_token_ids": [50, 51, 52]}
    both = {"prompt_token_ids": list(range(1, 31)), "output_token_ids": list(range(50, 80))}
    examples = ExampleFile(traces(tmp_path / "t.jsonl", long_prompt, both), longest=10)
    assert examples[0].tokens.tolist() == [24, 25, 26, 27, 28, 29, 30, 50, 51, 52]
    assert examples[0].answer_from == 7
    assert examples[1].tokens.tolist() == [26, 27, 28, 29, 30, 50, 51, 52, 53, 54]


def test_what_is_no_file_of_answers_is_refused(tmp_path: Path) -> None:
    good = {"prompt_token_ids": [1], "output_token_ids": [2]}
    with pytest.raises(ConfigError, match=r"line 3 is no trace"):
        ExampleFile(traces(tmp_path / "a.jsonl", good, {"prompt_token_ids": []}), longest=10)
    with pytest.raises(ConfigError, match="an id comes twice"):
        ExampleFile(traces(tmp_path / "b.jsonl", good, {**good, "id": "0"}), longest=10)
    with pytest.raises(ConfigError, match="model 'other', before it 'm'"):
        ExampleFile(traces(tmp_path / "c.jsonl", good, {**good, "model": "other"}), longest=10)
    (tmp_path / "d.jsonl").write_text("\n")
    with pytest.raises(ConfigError, match="no answer"):
        ExampleFile(tmp_path / "d.jsonl", longest=10)
    with pytest.raises(MachineError, match="cannot be read"):
        ExampleFile(tmp_path / "missing.jsonl", longest=10)
