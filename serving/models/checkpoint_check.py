"""Decides whether a directory is a checkpoint that the engine can load, before minutes are spent starting it.

The engine's own message for a missing tokenizer or a truncated shard comes late and from deep inside; this
check reads a few headers and names the part that is missing.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path

from accounting.errors import ModelError

_PICKLED = ("*.bin", "*.pt", "*.pth")
_TOKENIZERS = (("tokenizer.json",), ("tokenizer.model",), ("vocab.json", "merges.txt"))
_LFS_POINTER = b"version https://git-lfs"


def check_checkpoint(directory: Path, *, tokenizer_needed: bool = True) -> None:
    """Raise ModelError unless `directory` holds config.json, safetensors weights and a tokenizer.

    A draft or a head speaks the target's tokens: it needs no tokenizer of its own (`tokenizer_needed`).

    Files are followed through links, as a hub cache is made of them. Tensor data is not read: a weights file
    passes when its header is sound and its size is the one the header implies.
    """
    _check_is_directory(directory)
    ggufs = sorted(directory.glob("*.gguf"))
    weights = sorted(directory.glob("*.safetensors"))
    if ggufs and not weights:
        raise ModelError(
            f"vLLM 0.32 does not read GGUF: {directory} holds {ggufs[0].name} and no safetensors.",
            hint="Name a packaged model, or a directory with the safetensors form of this one.",
        )
    _check_config(directory / "config.json")
    _check_weights(directory, weights)
    if tokenizer_needed and not any(
        all((directory / part).is_file() for part in parts) for parts in _TOKENIZERS
    ):
        wanted = ", ".join(" with ".join(parts) for parts in _TOKENIZERS)
        raise ModelError(f"{directory} has no tokenizer: one of {wanted} is needed.")


def _check_is_directory(path: Path) -> None:
    if path.is_dir():
        return
    if path.suffix == ".gguf" and path.is_file():
        raise ModelError(f"vLLM 0.32 does not read GGUF: {path} is a GGUF file, not a checkpoint directory.")
    if path.exists():
        raise ModelError(f"{path} is a file; a model is the directory that holds config.json.")
    siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    nearest = difflib.get_close_matches(path.name, siblings, n=1, cutoff=0.5)
    hint = f"The nearest name there is {path.parent / nearest[0]}." if nearest else ""
    raise ModelError(f"There is no model directory {path}.", hint=hint)


def _check_config(path: Path) -> None:
    if not path.is_file():
        raise ModelError(f"{path.parent} has no config.json, so it is not a model checkpoint.")
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path} holds {type(config).__name__} where an object is expected.")


def _check_weights(directory: Path, weights: list[Path]) -> None:
    index = directory / "model.safetensors.index.json"
    if index.is_file():
        weights = [directory / name for name in _shards_of(index)]
        missing = [path.name for path in weights if not path.is_file()]
        if missing:
            raise ModelError(
                f"{directory} is incomplete: {len(missing)} of {len(weights)} weight shards are missing"
                f" ({', '.join(missing[:3])}{', …' if len(missing) > 3 else ''}).",
                hint="Finish the download.",
            )
    if not weights:
        pickled = sorted(path.name for pattern in _PICKLED for path in directory.glob(pattern))
        if pickled:
            raise ModelError(
                f"{directory} has only {pickled[0]}: pickle weights are refused by default, as loading them can"
                " run code.",
                hint="Convert them to safetensors, or take the safetensors form of this model.",
            )
        raise ModelError(f"{directory} has no weights: no *.safetensors file.")
    for path in weights:
        _check_safetensors(path)


def _shards_of(index: Path) -> list[str]:
    try:
        return sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{index} is not a safetensors index: {error!r}") from error


def _check_safetensors(path: Path) -> None:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(64)
            header_bytes = int.from_bytes(start[:8], "little")
            if start.startswith(_LFS_POINTER):
                raise ModelError(
                    f"{path} is a Git LFS pointer, not the weights.", hint="Run git lfs pull there."
                )
            if size < 8 or header_bytes > size - 8:
                raise ModelError(f"{path} is not a whole safetensors file ({size:,} bytes).")
            file.seek(8)
            header = json.loads(file.read(header_bytes))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ModelError(f"{path} has a damaged safetensors header: {error!r}") from error
    wanted = 8 + header_bytes + max(ends, default=0)
    if size != wanted:
        raise ModelError(
            f"{path} holds {size:,} bytes where its header says {wanted:,}: the file was cut off or changed.",
            hint="Download or copy it again.",
        )
