"""A random Llama of the sizes that were asked for, with another checkpoint's tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drafts.random_checkpoint import main

transformers = pytest.importorskip("transformers", reason="comes with the engine")

SIZES = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 64,
}  # fmt: skip


def test_it_has_the_sizes_and_the_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "sizes.json").write_text(json.dumps(SIZES))
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "tokenizer.json").write_text("{}")
    target = tmp_path / "random"
    assert main([str(tmp_path / "sizes.json"), str(tmp_path / "source"), str(target)]) == 0
    model = transformers.AutoModelForCausalLM.from_pretrained(target)
    assert {key: getattr(model.config, key) for key in SIZES} == SIZES
    assert (target / "tokenizer.json").is_file()


def test_sizes_that_make_no_model_say_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sizes.json").write_text("{")
    assert main([str(tmp_path / "sizes.json"), str(tmp_path), str(tmp_path / "random")]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["error"]
