"""Keeps converted checkpoints, so that a model is fetched and converted once per machine.

A directory of the cache is either whole or absent: it is built under another name, gets its manifest last
and is then renamed. Two processes that want the same model take turns on a lock; what a killed process left
half made is removed by the next one that holds the lock.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from accounting.errors import MachineError, ModelError
from serving.models.packaged import PackagedModel

CONVERTER_VERSION = 1  # raise it when a converter's output changes: older directories are then not used
_MANIFEST = "manifest.json"

Build = Callable[
    [Path], Mapping[str, Any] | None
]  # into an empty directory; gives what is worth knowing of it


def cache_root(environment: Mapping[str, str] = os.environ) -> Path:
    """Where kilotoken keeps what it can make again: $KILOTOKEN_CACHE, else the XDG cache directory."""
    if chosen := environment.get("KILOTOKEN_CACHE"):
        return Path(chosen).expanduser().absolute()
    if xdg := environment.get("XDG_CACHE_HOME"):
        return Path(xdg).expanduser().absolute() / "kilotoken"
    return Path.home() / ".cache" / "kilotoken"


def converted_dir(model: PackagedModel, root: Path) -> Path:
    """The directory of one converted model; its name changes with the source file and with the converter."""
    name = f"{model.name}-{model.version}-{model.sha256[:12]}-v{CONVERTER_VERSION}"
    return root / "models" / name


def is_complete(directory: Path, *, version: int = CONVERTER_VERSION) -> bool:
    """Whether the manifest, written last, is there and every file it names still has its size."""
    try:
        manifest = read_manifest(directory)
        files = manifest["files"]
        return manifest["converter_version"] == version and all(
            (directory / name).stat().st_size == entry["bytes"] for name, entry in files.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def read_manifest(directory: Path) -> dict[str, Any]:
    """What a directory of the cache says of itself.

    Raises:
        OSError, ValueError: there is none, or it is damaged.
    """
    manifest = json.loads((directory / _MANIFEST).read_bytes())
    if not isinstance(manifest, dict):
        raise ValueError(f"{directory / _MANIFEST} holds no object")
    return manifest


def remove_directory(directory: Path) -> int:
    """Remove one directory of the cache with what killed builders left of it; returns the bytes freed.

    It loses its name first, so that no reader ever finds half of it.

    Raises:
        ModelError: another process is making it.
    """
    freed_bytes = bytes_below(directory)
    with _lock(directory, on_wait=lambda: _refuse_busy(directory)):
        _remove_leftovers(directory)
    return freed_bytes


def _refuse_busy(directory: Path) -> None:
    raise ModelError(
        f"{directory.name} is being made by another process.", hint="Wait for it, or stop it first."
    )


def bytes_below(directory: Path) -> int:
    """Size of all files below a directory, in bytes; links count as what they point to."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):  # it was moved or removed meanwhile
                total += (Path(folder) / name).stat().st_size
    return total


def make_atomically(
    directory: Path,
    build: Build,
    *,
    name: str = "",
    source_sha256: str = "",
    version: int = CONVERTER_VERSION,
    needed_bytes: int = 0,
    on_wait: Callable[[], None] = lambda: None,
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
) -> None:
    """Make `directory` by calling `build` on an empty sibling of it, unless it is already complete.

    What `build` returns is kept in the manifest beside the files' sizes and hashes; `version` is that of the
    maker, and a directory of another version counts as incomplete. `on_wait` is called once when another process is at the same work. A failing or interrupted `build`
    leaves nothing behind; a killed one leaves a sibling that the next call removes.
    """
    if is_complete(directory, version=version):
        return  # without the lock, so that a cache that is only readable serves
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with _lock(directory, on_wait):
            if is_complete(directory, version=version):
                return
            _remove_leftovers(directory)
            _check_space(directory.parent, needed_bytes, free_bytes)
            about = {"name": name, "source_sha256": source_sha256, "converter_version": version}
            _build_and_rename(directory, build, about)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelError(
                f"The disk of {directory.parent} became full: {error}", hint=_MOVE_CACHE
            ) from error
        raise MachineError(
            f"The model cache {directory.parent} cannot be used: {error}", hint=_MOVE_CACHE
        ) from error


_MOVE_CACHE = "Set KILOTOKEN_CACHE to a directory that can be written and has room."


@contextmanager
def _lock(directory: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the directory's lock. The file stays: removing it would let two processes lock different files."""
    with (directory.parent / f".{directory.name}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _remove_leftovers(directory: Path) -> None:
    """Remove what killed processes left, and a damaged directory; the lock's holder is the only builder."""
    for leftover in [*directory.parent.glob(f".{directory.name}.partial-*"), directory]:
        if leftover.exists():
            shutil.rmtree(leftover)


def _check_space(parent: Path, needed_bytes: int, free_bytes: Callable[[Path], int]) -> None:
    free = free_bytes(parent)
    if free < needed_bytes:
        raise ModelError(
            f"Making this model needs {needed_bytes:,} bytes and {parent} has {free:,} free.",
            hint=_MOVE_CACHE,
        )


def _build_and_rename(directory: Path, build: Build, about: Mapping[str, Any]) -> None:
    partial = Path(tempfile.mkdtemp(prefix=f".{directory.name}.partial-", dir=directory.parent))
    try:
        partial.chmod(0o755)  # mkdtemp makes it private; a served model is not a secret
        learnt = build(partial)
        _write_manifest(partial, {**about, **(learnt or {})})
        partial.replace(directory)
    except BaseException:  # Ctrl-C included: nothing half made stays
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _write_manifest(directory: Path, about: Mapping[str, Any]) -> None:
    files = {}
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        files[str(path.relative_to(directory))] = {"bytes": path.stat().st_size, "sha256": digest}
    (directory / _MANIFEST).write_text(json.dumps({**about, "files": files}, indent=1) + "\n")
