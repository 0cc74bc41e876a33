"""A record of what a trainer computed finds what was exported otherwise: other weights, other tokens, other states."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="comes with the engine")

from accounting.errors import ModelError  # noqa: E402
from drafts.distil.says import model_says  # noqa: E402
from drafts.eagle3.initial import initial_head, shape_for  # noqa: E402
from drafts.eagle3.says import head_says  # noqa: E402
from drafts.eagle3.teacher import Eagle3Teacher  # noqa: E402
from drafts.eagle3.vocabulary import DraftVocabulary  # noqa: E402
from drafts.training.parity import FILE, compared, read_record, recorded, write_record  # noqa: E402
from tests.drafts.tiny_llama import tiny_llama  # noqa: E402

TEXTS = [list(range(3, 40)), [5, 9, 7, 30, 31, 32, 33, 60]]
LAYERS = (1, 2, 5)


@pytest.fixture(scope="module")
def target() -> Any:
    return tiny_llama(layers=5)


@pytest.fixture(scope="module")
def vocabulary() -> DraftVocabulary:
    import numpy as np

    return DraftVocabulary(np.arange(1, 64, 2))


@pytest.fixture(scope="module")
def head(target: Any, vocabulary: DraftVocabulary) -> Any:
    return initial_head(target, shape_for(target.config, vocabulary=32), vocabulary, seed=1).eval()


def test_a_draft_model_agrees_with_itself_through_a_file(tmp_path: Path) -> None:
    draft = tiny_llama(layers=2, seed=3)
    ids = torch.arange(64)
    write_record(tmp_path, recorded(model_says(draft), ids, TEXTS, dtype="float32"))
    record = read_record(tmp_path)
    assert record is not None
    found = compared(record, model_says(draft), ids)
    assert found.rows == 12 + 8, "places of a text, all of a short one"
    assert found.same_first == 1.0
    assert found.largest_error < 1e-5
    other = compared(record, model_says(tiny_llama(layers=2, seed=4)), ids)
    assert other.median_error > 0.5
    assert other.same_first < 0.5


def test_a_head_agrees_with_itself_at_every_step(target: Any, head: Any, vocabulary: DraftVocabulary) -> None:
    ids = torch.from_numpy(vocabulary.target_ids)
    record = recorded(head_says(head, target, LAYERS, 3), ids, TEXTS, dtype="float32")
    assert {row.step for row in record.rows} == {0, 1, 2}
    assert max(row.slot + row.step for row in record.rows if row.text == 1) == len(TEXTS[1]) - 2, (
        "inside the text"
    )
    found = compared(record, head_says(head, target, LAYERS, 3), ids)
    assert (found.same_first, found.largest_error < 1e-5) == (1.0, True)


def test_tokens_that_it_can_no_longer_say_are_told(
    target: Any, head: Any, vocabulary: DraftVocabulary
) -> None:
    ids = torch.from_numpy(vocabulary.target_ids)
    record = recorded(head_says(head, target, LAYERS, 2), ids, TEXTS, dtype="float32")
    found = compared(record, head_says(head, target, LAYERS, 2), ids + torch.arange(32))
    assert found.median_error == 1e6
    assert found.same_first < 0.2


def test_the_normed_last_state_is_another_one(target: Any, head: Any, vocabulary: DraftVocabulary) -> None:
    """A trainer that takes transformers' last hidden state for a layer's feeds its head with what no server has."""
    ids = torch.from_numpy(vocabulary.target_ids)

    class Normed(Eagle3Teacher):
        def features(self, tokens: Any) -> Any:
            states = self.target.model(tokens, output_hidden_states=True).hidden_states
            return torch.cat([states[layer] for layer in self.layers], dim=-1)[0]

    teacher, embedding = Normed(target, LAYERS), target.get_input_embeddings()

    def says(tokens: Any) -> Any:
        states = head.unrolled(teacher.features(tokens)[None], embedding(tokens), 2)
        return [head.logits(state)[0] for state in states]

    found = compared(recorded(says, ids, TEXTS, dtype="float32"), head_says(head, target, LAYERS, 2), ids)
    assert found.median_error > 0.15


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    (tmp_path / FILE).write_text('{"format": 1}')
    with pytest.raises(ModelError, match=r"parity\.json is damaged"):
        read_record(tmp_path)
