"""What stands beside a draft's weights: of which target, from which answers, how it was made, how well it did, whose it is.

`kilotoken-draft.json` is written when a draft is exported, with the SHA-256 of every file beside it. Reading it needs no torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from accounting.errors import ModelError

FILE = "kilotoken-draft.json"
FORMAT: Final = "kilotoken-draft/1"
#: Files that a manifest answers for. A tokenizer's are written anew by each version of its library; its tokens are compared instead.
FILES = ("config.json", "*.safetensors", "parity.json")
#: Of a config.json, what says who wrote it and not what the model is.
_WRITERS = ("transformers_version", "_name_or_path", "torch_dtype", "dtype")


class TargetIdentity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The target by the name it was given and by the SHA-256 of its files together."""

    name: str
    sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`settings` are the training's own, `metrics` what it found; `data` says where its answers came from."""

    format: Literal["kilotoken-draft/1"] = FORMAT
    name: str
    kind: Literal["distil", "eagle3"]
    target: TargetIdentity
    licence: str
    command: str
    made_at: str
    versions: dict[str, str]
    data: dict[str, Any]
    settings: dict[str, Any]
    metrics: dict[str, Any]
    files: dict[str, str]
    """Name -> SHA-256."""


def fingerprint(directory: Path) -> str:
    """SHA-256 over what a checkpoint is: its weights, its config but for who wrote it, its tokens.

    Raises:
        ModelError: if a file cannot be read.
    """
    whole = hashlib.sha256()
    for name, digest in sorted(digests(directory, ("*.safetensors",)).items()):
        whole.update(f"{name}\0{digest}\n".encode())
    config = {key: value for key, value in _json(directory / "config.json").items() if key not in _WRITERS}
    whole.update(json.dumps(config, sort_keys=True).encode())
    tokenizer = directory / "tokenizer.json"
    if tokenizer.is_file():
        said = _json(tokenizer)
        tokens = [
            said.get("model", {}).get("vocab"),
            [(t["content"], t["id"]) for t in said.get("added_tokens", [])],
        ]
        whole.update(json.dumps(tokens, sort_keys=True).encode())
    return whole.hexdigest()


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{path} cannot be read: {error}.") from error


def digests(directory: Path, patterns: Iterable[str]) -> dict[str, str]:
    """SHA-256 of each file that one of the patterns names.

    Raises:
        ModelError: if a file cannot be read.
    """
    found = {}
    for path in sorted({path for pattern in patterns for path in directory.glob(pattern)}):
        try:
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error
    return found


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write it beside the weights."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (directory / FILE).write_bytes(text + b"\n")


def read_manifest(directory: Path) -> Manifest | None:
    """The manifest of a draft made here; None where there is none.

    Raises:
        ModelError: if there is one that cannot be read.
    """
    try:
        return msgspec.json.decode((directory / FILE).read_bytes(), type=Manifest)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise ModelError(
            f"{directory / FILE} is damaged: {error}.",
            hint="Copy the draft again with all its files, or train it again.",
        ) from error


def changed_files(directory: Path, files: Mapping[str, str]) -> list[str]:
    """Which of a manifest's files are missing or no longer what they were, in words."""
    here = digests(directory, list(files))
    missing = [f"{name} is missing" for name in files if name not in here]
    changed = [f"{name} has another SHA-256" for name in here if here[name] != files[name]]
    return sorted(missing + changed)
