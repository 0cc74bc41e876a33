"""Drafts that ship are named like any model; a damaged one is said to be."""

import json
from pathlib import Path

import pytest

from accounting.errors import ModelError
from serving.models.zoo import BASE, MANIFEST, completed_dir, zoo_draft, zoo_names

SAID = {
    "licence": "MIT",
    "target": {"name": "big", "sha256": "0" * 64},
    "files": {"model.safetensors": "ab" * 32},
}


def shipped(zoo: Path, name: str, base: str | None = None) -> None:
    (zoo / name).mkdir(parents=True)
    (zoo / name / MANIFEST).write_text(json.dumps(SAID))
    if base:
        (zoo / name / BASE).write_text(json.dumps({"model": base}))


def test_names_and_what_is_said(tmp_path: Path) -> None:
    shipped(tmp_path, "head")
    shipped(tmp_path, "draft", base="stories-15m")
    (tmp_path / "no-draft").mkdir()
    assert zoo_names(tmp_path) == ("draft", "head")
    assert zoo_draft("head", tmp_path).base is None
    draft = zoo_draft("draft", tmp_path)
    assert (draft.base, draft.licence, draft.target) == ("stories-15m", "MIT", "big")
    assert completed_dir(draft, Path("/cache")) == Path("/cache/zoo/draft-abababababab-v1")


def test_damage_is_told(tmp_path: Path) -> None:
    shipped(tmp_path, "odd", base="nothing-known")
    with pytest.raises(ModelError, match="no packaged model"):
        zoo_draft("odd", tmp_path)
    (tmp_path / "odd" / MANIFEST).write_text("{")
    with pytest.raises(ModelError, match="is damaged"):
        zoo_draft("odd", tmp_path)
    with pytest.raises(ModelError, match="is damaged"):
        zoo_draft("unknown", tmp_path)
