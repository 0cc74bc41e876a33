"""A deeper checkpoint holds each layer several times over, everything else once, and says so in its config."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drafts.deeper_checkpoint import main, repeated_names

torch = pytest.importorskip("torch", reason="comes with the engine")
safetensors = pytest.importorskip("safetensors.torch")

TENSORS = {
    "model.embed_tokens.weight": torch.arange(6.0).reshape(3, 2),
    "model.layers.0.mlp.up_proj.weight": torch.ones(2, 2),
    "model.layers.1.mlp.up_proj.weight": 2 * torch.ones(2, 2),
    "model.norm.weight": torch.ones(2),
}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    source = tmp_path / "shallow"
    source.mkdir()
    (source / "config.json").write_text(json.dumps({"num_hidden_layers": 2, "hidden_size": 2}))
    (source / "tokenizer.json").write_text("{}")
    safetensors.save_file(TENSORS, source / "model.safetensors")
    return source


def test_layers_follow_one_another_again_and_again(checkpoint: Path, tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    assert main([str(checkpoint), "3", str(deep)]) == 0
    assert json.loads((deep / "config.json").read_text()) == {"num_hidden_layers": 6, "hidden_size": 2}
    assert (deep / "tokenizer.json").is_file()
    found = safetensors.load_file(deep / "model.safetensors")
    assert len(found) == 2 + 6
    for layer in range(6):
        expected = TENSORS[f"model.layers.{layer % 2}.mlp.up_proj.weight"]
        assert torch.equal(found[f"model.layers.{layer}.mlp.up_proj.weight"], expected)
    assert torch.equal(found["model.embed_tokens.weight"], TENSORS["model.embed_tokens.weight"])


def test_what_cannot_be_deepened_says_why(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkpoint / "config.json").write_text("{}")
    assert main([str(checkpoint), "3", str(tmp_path / "deep")]) == 1
    assert "num_hidden_layers" in json.loads(capsys.readouterr().out.splitlines()[-1])["error"]
    assert not (tmp_path / "deep").exists()


def test_only_layers_are_repeated() -> None:
    assert repeated_names("lm_head.weight", 4, 2) == ["lm_head.weight"]
    assert repeated_names("layers.3.norm", 4, 2) == ["layers.3.norm", "layers.7.norm"]
