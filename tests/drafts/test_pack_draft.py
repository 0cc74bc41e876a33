"""A packed draft holds what was trained and nothing of its base, and becomes the very file again."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="comes with the engine")

from accounting.errors import ModelError  # noqa: E402
from drafts.complete_draft import complete_draft  # noqa: E402
from drafts.manifest import Manifest, TargetIdentity, digests, write_manifest  # noqa: E402
from drafts.pack_draft import pack_draft  # noqa: E402
from tests.drafts.tiny_llama import tiny_llama  # noqa: E402


@pytest.fixture
def base_and_draft(tmp_path: Path) -> tuple[Path, Path]:
    """A base, and a draft that was trained from it but for its embedding and output rows."""
    base, draft = tmp_path / "base", tmp_path / "draft"
    model: Any = tiny_llama(layers=2).to(torch.bfloat16)
    model.save_pretrained(base)
    (base / "tokenizer.json").write_text("{}")
    with torch.no_grad():
        for parameter in model.model.layers.parameters():
            parameter.add_(1)
        model.model.norm.weight.add_(1)
    model.save_pretrained(draft)
    write_manifest(
        draft,
        Manifest(
            name="draft", kind="distil", target=TargetIdentity(name="t", sha256="0" * 64), licence="MIT", command="",
            made_at="2026-01-01", versions={}, data={}, settings={}, metrics={}, files=digests(draft, ["*.safetensors"]),
        ),
    )  # fmt: skip
    return base, draft


def test_both_together_are_what_was_trained(base_and_draft: tuple[Path, Path], tmp_path: Path) -> None:
    base, draft = base_and_draft
    packed, whole = tmp_path / "packed", tmp_path / "whole"
    found = pack_draft(draft, packed, "base", base)
    assert sorted(found["left_out"]) == ["lm_head.weight", "model.embed_tokens.weight"]
    assert not (packed / "model.safetensors").exists()
    whole.mkdir()
    complete_draft(packed, base, whole)
    assert (whole / "model.safetensors").read_bytes() == (draft / "model.safetensors").read_bytes()
    assert (whole / "tokenizer.json").is_file()
    assert not (whole / "base.json").exists()


def test_another_base_is_told(base_and_draft: tuple[Path, Path], tmp_path: Path) -> None:
    base, draft = base_and_draft
    packed, whole, other = tmp_path / "packed", tmp_path / "whole", tmp_path / "other"
    pack_draft(draft, packed, "base", base)
    tiny_llama(layers=2, seed=8).to(torch.bfloat16).save_pretrained(other)
    whole.mkdir()
    with pytest.raises(ModelError, match="another SHA-256"):
        complete_draft(packed, other, whole)


def test_a_draft_that_shares_nothing_is_not_packed_against_a_base(
    base_and_draft: tuple[Path, Path], tmp_path: Path
) -> None:
    _, draft = base_and_draft
    other = tmp_path / "other"
    tiny_llama(layers=2, seed=8).to(torch.bfloat16).save_pretrained(other)
    with pytest.raises(ValueError, match="has no tensor of"):
        pack_draft(draft, tmp_path / "packed", "other", other)
    assert pack_draft(draft, tmp_path / "alone")["left_out"] == []
