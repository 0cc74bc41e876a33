import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from accounting.errors import ModelError
from serving.models.checkpoint_facts import CheckpointFacts, common_tokens, read_checkpoint_facts


def checkpoint(directory: Path, config: dict[str, Any], tokenizer: Any = None) -> Path:
    (directory / "config.json").write_text(json.dumps(config))
    save_file({"model.norm.weight": np.zeros((4, 12), np.float32)}, directory / "model.safetensors")
    if tokenizer is not None:
        (directory / "tokenizer.json").write_text(json.dumps(tokenizer))
    return directory


def test_config_shapes_and_tokens_are_read(tmp_path: Path) -> None:
    tokenizer = {"model": {"vocab": {"a": 0, "b": 1}}, "added_tokens": [{"content": "<s>", "id": 2}]}
    facts = read_checkpoint_facts(checkpoint(tmp_path, {"vocab_size": 3}, tokenizer), name="mine")
    assert facts.name == "mine"
    assert facts.integer("vocab_size") == 3
    assert facts.shapes == {"model.norm.weight": (4, 12)}
    assert facts.tokens == {"a": 0, "b": 1, "<s>": 2}
    assert not facts.is_head


def test_a_setting_inside_the_language_models_part_is_found(tmp_path: Path) -> None:
    config = {
        "speculators_model_type": "eagle3",
        "transformer_layer_config": {"hidden_size": 64},
        "draft_vocab_size": True,
    }
    facts = read_checkpoint_facts(checkpoint(tmp_path, config))
    assert facts.integer("hidden_size") == 64
    assert facts.integer("draft_vocab_size") is None, "a boolean is no number"
    assert facts.integer("missing") is None
    assert facts.is_head


def test_a_unigram_vocabulary_is_numbered_by_place_and_a_missing_one_is_empty(tmp_path: Path) -> None:
    facts = read_checkpoint_facts(checkpoint(tmp_path, {}, {"model": {"vocab": [["x", -1.0], ["y", -2.0]]}}))
    assert facts.tokens == {"x": 0, "y": 1}
    (tmp_path / "tokenizer.json").unlink()
    assert read_checkpoint_facts(tmp_path).tokens == {}


def test_two_families_of_tokenizers_have_words_in_common_whatever_their_mark_of_a_space() -> None:
    bpe = CheckpointFacts("bpe", {}, tokens={"\u0120the": 5, "cat": 7, "only": 1})
    piece = CheckpointFacts("piece", {}, tokens={"\u2581the": 1, "cat": 2, "other": 3})
    assert common_tokens(bpe, piece) == 2


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_damaged_config_is_a_model_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModelError, match=r"config\.json"):
        read_checkpoint_facts(tmp_path)


def test_a_damaged_weights_file_is_a_model_error(tmp_path: Path) -> None:
    directory = checkpoint(tmp_path, {})
    (directory / "model.safetensors").write_bytes(b"\xff" * 40)
    with pytest.raises(ModelError, match="safetensors header"):
        read_checkpoint_facts(directory)


def test_a_head_under_its_layers_plain_name_is_known_by_the_tensor_that_joins(tmp_path: Path) -> None:
    checkpoint(tmp_path, {"architectures": ["LlamaForCausalLM"]})
    assert not read_checkpoint_facts(tmp_path).is_head
    save_file({"fc.weight": np.zeros((4, 12), np.float32)}, tmp_path / "model.safetensors")
    facts = read_checkpoint_facts(tmp_path)
    assert facts.is_head
    assert facts.shape("fc.weight") == (4, 12)
    assert facts.shape("norm.weight") is None
