"""Quantised copies as the cache keeps them, and which schemes an engine takes."""

from pathlib import Path
from typing import Any

import pytest

from accounting.errors import ModelError
from serving.models.cache import make_atomically, remove_directory
from serving.models.catalogue import LocalPath, QuantisedCopy, classify_model
from serving.models.copies import QUANTISER_VERSION, copy_dir, copy_names, read_copy
from serving.models.quantisation import SCHEMES, require_scheme

FACTS = {
    "parent": "stories-15m", "parent_revision": "sha256:1", "scheme": "int8", "preset": "W8A8",
    "library": "compressed-tensors 1.0", "licence": "MIT", "parameters": 15,
}  # fmt: skip


def make_copy(root: Path, name: str = "mine-int8", **changes: Any) -> Path:
    """A copy with one file."""

    def build(partial: Path) -> dict[str, Any]:
        (partial / "weights").write_bytes(b"12345")
        return {**FACTS, **changes}

    directory = copy_dir(root, name)
    make_atomically(directory, build, name=name, version=QUANTISER_VERSION)
    return directory


def test_copy_knows_its_origin(tmp_path: Path) -> None:
    """Parent, scheme, licence and library come back from the manifest."""
    make_copy(tmp_path)
    copy = read_copy(tmp_path, "mine-int8")
    assert (copy.parent, copy.licence, copy.parameters) == ("stories-15m", "MIT", 15)
    assert copy.source == "made here from stories-15m: int8 (compressed-tensors 1.0 W8A8)"
    assert copy_names(tmp_path) == ("mine-int8",), "neither lock files nor unfinished ones are names"


def test_copies_of_other_content_have_other_hashes(tmp_path: Path) -> None:
    """The hash covers every file, so two runs can be told apart by it."""
    first = make_copy(tmp_path, "first")
    make_copy(tmp_path, "second")
    assert read_copy(tmp_path, "first").sha256 == read_copy(tmp_path, "second").sha256
    manifest = first / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"sha256": "5994', '"sha256": "0000'))
    assert read_copy(tmp_path, "first").sha256 != read_copy(tmp_path, "second").sha256


@pytest.mark.parametrize("damage", ["cut", "gone", "manifest"])
def test_damaged_copy_says_so(damage: str, tmp_path: Path) -> None:
    """A cut file, a missing one and a manifest without its origin are all damage; the way out is named."""
    directory = make_copy(tmp_path)
    if damage == "cut":
        (directory / "weights").write_bytes(b"1")
    elif damage == "gone":
        (directory / "weights").unlink()
    else:
        path = directory / "manifest.json"
        path.write_text(path.read_text().replace('"parent"', '"other"'))
    with pytest.raises(ModelError, match="copy mine-int8 is damaged") as caught:
        read_copy(tmp_path, "mine-int8")
    assert "kilotoken models remove mine-int8" in caught.value.hint


@pytest.mark.parametrize("name", ["stories-15m", "a/b", "", ".hidden", "-x", "..", "ü"])
def test_names_that_cannot_be(name: str, tmp_path: Path) -> None:
    """A copy must be nameable in a config, and must not hide a packaged model."""
    with pytest.raises(ModelError, match="cannot name a copy"):
        copy_dir(tmp_path, name)


def test_copy_is_a_model_name(tmp_path: Path) -> None:
    """It wins over a directory of its name, and is among the names that a typing mistake is compared with."""
    (tmp_path / "mine-int8").mkdir()
    assert classify_model("mine-int8", base_dir=tmp_path, copies=["mine-int8"]) == QuantisedCopy("mine-int8")
    assert isinstance(classify_model("mine-int8", base_dir=tmp_path, copies=[]), LocalPath)
    with pytest.raises(ModelError, match="nearest name is 'mine-int8'"):
        classify_model("mine-int4", base_dir=tmp_path / "elsewhere", copies=["mine-int8"])


def test_removed_copy_is_gone_and_counted(tmp_path: Path) -> None:
    """The bytes freed are those of its files, and the name is free again."""
    directory = make_copy(tmp_path)
    size = sum(path.stat().st_size for path in directory.iterdir())
    assert remove_directory(directory) == size
    assert copy_names(tmp_path) == ()
    make_copy(tmp_path, licence="other")
    assert read_copy(tmp_path, "mine-int8").licence == "other"


def test_copy_in_the_making_is_not_removed(tmp_path: Path) -> None:
    """Its builder holds the lock."""
    directory = copy_dir(tmp_path, "mine-int8")

    def build(partial: Path) -> dict[str, Any]:
        with pytest.raises(ModelError, match="being made by another process"):
            remove_directory(directory)
        (partial / "weights").write_bytes(b"12345")
        return FACTS

    make_atomically(directory, build, version=QUANTISER_VERSION)
    assert read_copy(tmp_path, "mine-int8").scheme == "int8"


def test_schemes_by_device() -> None:
    """What the CPU build refuses is refused with its reason and the others named; CUDA takes all."""
    for name in SCHEMES:
        assert require_scheme(name, device="cuda").name == name
    assert require_scheme("int8", device="cpu").preset == "W8A8"
    with pytest.raises(ModelError, match="knows 4 bits, not 8") as caught:
        require_scheme("int8-weights", device="cpu")
    assert "int8, int4, fp8" in caught.value.hint
    with pytest.raises(ModelError, match="no scheme 'int7'"):
        require_scheme("int7", device="cpu")
