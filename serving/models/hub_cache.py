"""Which snapshots of hub repositories are on this machine, and which of them are whole.

The layout is huggingface_hub's own, so what other tools fetched serves here and the other way round:
`models--org--name/{blobs,snapshots/<commit>,refs/<branch>}`. Reading it needs no library.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from accounting.errors import ModelError
from serving.models.checkpoint_check import check_checkpoint

_COMMIT = re.compile(r"[0-9a-f]{40}")
DEFAULT_REVISION = "main"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One commit of a repository in the cache; `problem` says why the engine could not load it, if so."""

    repository: str
    commit: str
    directory: Path
    problem: str


def hub_cache_root(environment: Mapping[str, str] = os.environ) -> Path:
    """Where huggingface_hub keeps repositories: $HF_HUB_CACHE, $HF_HOME/hub, or the XDG cache directory."""
    if chosen := environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE"):
        return Path(os.path.expandvars(chosen)).expanduser()
    xdg = environment.get("XDG_CACHE_HOME") or "~/.cache"
    home = environment.get("HF_HOME") or str(Path(xdg) / "huggingface")
    return Path(os.path.expandvars(home)).expanduser() / "hub"


def is_commit(revision: str | None) -> bool:
    """Whether the revision is a full commit hash, which can never mean anything else later."""
    return revision is not None and _COMMIT.fullmatch(revision) is not None


def repository_dir(root: Path, repository: str) -> Path:
    """Where one repository's files lie in the cache."""
    return root / f"models--{repository.replace('/', '--')}"


def find_snapshot(
    root: Path, repository: str, revision: str | None, *, tokenizer_needed: bool = True
) -> Snapshot | None:
    """The snapshot that `revision` (a commit, or a branch or tag as last seen) means; None if not here."""
    base = repository_dir(root, repository)
    commit = revision if is_commit(revision) else _read_reference(base, revision or DEFAULT_REVISION)
    if commit is None or not (base / "snapshots" / commit).is_dir():
        return None
    return _snapshot(repository, base / "snapshots" / commit, tokenizer_needed)


def all_snapshots(root: Path) -> Iterator[Snapshot]:
    """Every snapshot of a model in the cache, whole or not."""
    for base in sorted(root.glob("models--*--*")):
        repository = base.name.removeprefix("models--").replace("--", "/", 1)
        for directory in sorted((base / "snapshots").glob("*")):
            yield _snapshot(repository, directory, tokenizer_needed=False)  # it may be a draft or a head


def remember_reference(root: Path, repository: str, revision: str | None, commit: str) -> None:
    """Write down which commit a branch or tag means, for the times without a network.

    Called only once the snapshot is whole: until then the name goes on meaning the older one.
    """
    if is_commit(revision):
        return
    path = repository_dir(root, repository) / "refs" / (revision or DEFAULT_REVISION)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(commit)
    partial.replace(path)


def licence_of(directory: Path) -> str:
    """The licence that a model card states in its front matter, else the words that it does not."""
    try:
        before, front, _ = (directory / "README.md").read_text(errors="replace").split("---", 2)
        stated = yaml.safe_load(front)
    except (OSError, ValueError, yaml.YAMLError):
        return "not stated"
    if before.strip() or not isinstance(stated, dict):
        return "not stated"
    licence = stated.get("license_name") or stated.get("license")
    return ", ".join(map(str, licence)) if isinstance(licence, list) else str(licence or "not stated")


def _read_reference(base: Path, revision: str) -> str | None:
    try:
        commit = (base / "refs" / revision).read_text().strip()
    except OSError:
        return None
    return commit if is_commit(commit) else None


def _snapshot(repository: str, directory: Path, tokenizer_needed: bool) -> Snapshot:
    problem = ""
    try:
        check_checkpoint(directory, tokenizer_needed=tokenizer_needed)
    except ModelError as error:
        problem = error.message
    return Snapshot(repository, directory.name, directory, problem)
