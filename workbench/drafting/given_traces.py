"""Answers that were collected before: a directory of `kilotoken collect`, taken as what a draft learns from.

Its files may be compressed (`train.jsonl.gz`, ...): answers that are kept beside a draft are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from accounting.errors import ConfigError, MachineError
from loadtest.workloads.json_lines import file_bytes, unpacked
from workbench.collect_files import DOCUMENT

Document = dict[str, Any]
_PARTS = ("train.jsonl", "heldout.jsonl")
#: Of the document of a collection, what a draft's manifest says of its data.
SUMMARY = ("parts", "sampling", "workloads", "max_tokens", "seed")


def read_collection(directory: Path) -> Document:
    """What the directory says of itself.

    Raises:
        ConfigError: if it is no finished collection, or cannot be read.
    """
    try:
        document = json.loads(_content(directory, DOCUMENT))
        if not (isinstance(document, dict) and {*SUMMARY, "model"} <= document.keys()):
            raise ValueError(f"{DOCUMENT} says too little")
    except ValueError as error:
        raise _no_collection(directory, str(error)) from error
    return document


def workloads_of(document: Document) -> tuple[str, ...]:
    """Names of the workloads that were asked, as a command takes them."""
    return tuple(str(workload["name"]) for workload in document["workloads"])


def mark_of(directory: Path) -> str:
    """What a directory of answers is told by: a digest of its document and parts.

    Raises:
        ConfigError: if a file is missing or cannot be read.
    """
    whole = hashlib.sha256()
    for name in (DOCUMENT, *_PARTS):
        whole.update(_content(directory, name))
    return whole.hexdigest()[:16]


def take_traces(directory: Path, into: Path, *, target: Collection[str]) -> Document:
    """Copy the answers, so that what is made holds all it was made from; their summary.

    Args:
        directory: of the answers.
        into: where a draft's own traces lie.
        target: names of the model that should have answered.

    Raises:
        ConfigError: if it is no collection that can be read, or another model answered.
        MachineError: if a file cannot be written.
    """
    document = read_collection(directory)
    if document["model"] not in target:
        raise ConfigError(
            f"--traces: {document['model']} answered in {directory}, and the draft is for {' or '.join(dict.fromkeys(target))}.",
            hint="A draft learns from its own target's answers. If it is the same model under another name, serve it under "
            "this one (--served-model-name) and collect again.",
        )
    contents = {name: _content(directory, name) for name in (*_PARTS, DOCUMENT)}
    try:
        into.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (into / name).write_bytes(content)
    except OSError as error:
        raise MachineError(f"{into} cannot be written: {error.strerror or error}.") from error
    return {key: document[key] for key in SUMMARY}


def _content(directory: Path, name: str) -> bytes:
    for path in (directory / name, directory / f"{name}.gz"):
        if path.is_file():
            return unpacked(path, file_bytes(path, holds="the answers"))
    raise _no_collection(directory, f"{name} is missing")


def _no_collection(directory: Path, why: str) -> ConfigError:
    return ConfigError(
        f"--traces {directory} is no finished collection: {why}.",
        hint=f"`kilotoken collect --out DIR` makes one: {DOCUMENT}, {', '.join(_PARTS)}, each of which may be a .gz.",
    )
