"""Which directories pass as checkpoints, and what is said of the others."""

import json
from pathlib import Path

import pytest

from accounting.errors import ModelError
from serving.models.checkpoint_check import check_checkpoint


def safetensors(tensor_bytes: int = 8) -> bytes:
    """The bytes of a file with one tensor of zeros."""
    header = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "w": {"dtype": "F32", "shape": [tensor_bytes // 4], "data_offsets": [0, tensor_bytes]},
        }
    ).encode()
    return len(header).to_bytes(8, "little") + header + bytes(tensor_bytes)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """The smallest directory that passes."""
    directory = tmp_path / "model"
    directory.mkdir()
    (directory / "config.json").write_text("{}")
    (directory / "model.safetensors").write_bytes(safetensors())
    (directory / "tokenizer.json").write_text("{}")
    return directory


def shard(directory: Path, *present: str) -> None:
    """Turn the weights into an indexed pair of which only `present` exist."""
    (directory / "model.safetensors").unlink()
    names = {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-2.safetensors"}
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    for name in present:
        (directory / name).write_bytes(safetensors())


def refused(directory: Path, match: str) -> ModelError:
    """The error for a directory that must not pass."""
    with pytest.raises(ModelError, match=match) as caught:
        check_checkpoint(directory)
    return caught.value


def test_whole_checkpoint(checkpoint: Path) -> None:
    """The smallest checkpoint passes."""
    check_checkpoint(checkpoint)


def test_sharded_checkpoint(checkpoint: Path) -> None:
    """An index with all its shards passes."""
    shard(checkpoint, "model-1.safetensors", "model-2.safetensors")
    check_checkpoint(checkpoint)


def test_links_are_followed(checkpoint: Path, tmp_path: Path) -> None:
    """A hub cache is made of links: good ones pass, broken ones do not."""
    blob = tmp_path / "blob"
    (checkpoint / "model.safetensors").rename(blob)
    (checkpoint / "model.safetensors").symlink_to(blob)
    check_checkpoint(checkpoint)
    blob.unlink()
    refused(checkpoint, "cannot be read")


@pytest.mark.parametrize("files", [["tokenizer.model"], ["vocab.json", "merges.txt"]])
def test_other_tokenizers(files: list[str], checkpoint: Path) -> None:
    """Three forms of tokenizer count, and a vocabulary without merges does not."""
    (checkpoint / "tokenizer.json").unlink()
    for name in files:
        refused(checkpoint, "has no tokenizer")
        (checkpoint / name).write_text("")
    check_checkpoint(checkpoint)


def test_missing_shard_is_named(checkpoint: Path) -> None:
    """An interrupted download is told from no weights at all."""
    shard(checkpoint, "model-1.safetensors")
    refused(checkpoint, r"1 of 2 weight shards are missing \(model-2.safetensors\)")


@pytest.mark.parametrize("index", ["", "{}", "[]", '{"weight_map": 3}'])
def test_damaged_index(index: str, checkpoint: Path) -> None:
    """An index that cannot be used is named."""
    (checkpoint / "model.safetensors.index.json").write_text(index)
    refused(checkpoint, "not a safetensors index")


@pytest.mark.parametrize(
    ("config", "match"), [(None, "no config.json"), ("{", "cannot be read as JSON"), ("[]", "holds list")]
)
def test_config(config: str | None, match: str, checkpoint: Path) -> None:
    """A missing and an unusable config.json are named."""
    (checkpoint / "config.json").unlink()
    if config is not None:
        (checkpoint / "config.json").write_text(config)
    refused(checkpoint, match)


def test_no_weights(checkpoint: Path) -> None:
    """Pickled weights do not count as weights, as loading them can run code."""
    (checkpoint / "model.safetensors").unlink()
    refused(checkpoint, "no weights")
    (checkpoint / "pytorch_model.bin").write_bytes(b"")
    refused(checkpoint, "pytorch_model.bin: pickle weights are refused by default")


def test_cut_off_weights(checkpoint: Path) -> None:
    """A file shorter than its header says is found without reading the tensors."""
    path = checkpoint / "model.safetensors"
    path.write_bytes(safetensors()[:-1])
    refused(checkpoint, "was cut off")
    path.write_bytes(safetensors()[:20])
    refused(checkpoint, "not a whole safetensors file")
    path.write_bytes(b"")
    refused(checkpoint, "not a whole safetensors file")


@pytest.mark.parametrize("header", [b"{]", b"[]", b'{"w": 1}', b'{"w": {"data_offsets": []}}', b"\xff\xff"])
def test_damaged_weights_header(header: bytes, checkpoint: Path) -> None:
    """Garbage in the header is an error of ours, not a traceback."""
    (checkpoint / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    refused(checkpoint, "damaged safetensors header")


def test_git_lfs_pointer(checkpoint: Path) -> None:
    """A clone without LFS holds pointers: the hint says what to run."""
    (checkpoint / "model.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    )
    assert "git lfs pull" in refused(checkpoint, "Git LFS pointer").hint


def test_gguf(checkpoint: Path) -> None:
    """GGUF, as a directory's only weights or as a file, is refused with the reason."""
    (checkpoint / "model.safetensors").unlink()
    gguf = checkpoint / "m.gguf"
    gguf.write_bytes(b"GGUF")
    refused(checkpoint, "vLLM 0.32 does not read GGUF")
    refused(gguf, "vLLM 0.32 does not read GGUF")


def test_file_instead_of_a_directory(checkpoint: Path) -> None:
    """A model is a directory."""
    refused(checkpoint / "config.json", "is a file")


def test_missing_path_names_the_nearest(checkpoint: Path) -> None:
    """A misspelt directory is answered with its neighbour's name."""
    assert str(checkpoint) in refused(checkpoint.parent / "modle", "There is no model directory").hint
    assert refused(checkpoint.parent / "x" / "y", "There is no model directory").hint == ""
