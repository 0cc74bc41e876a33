"""Which quantised copies of models were made here, and what each knows of its origin.

A copy lies in the model cache under its own name; its manifest says from what, how and under which licence.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from accounting.errors import ModelError
from serving.models.cache import is_complete, read_manifest
from serving.models.packaged import PACKAGED_MODELS

QUANTISER_VERSION = 1  # raise it when the quantiser's output changes: older copies then count as damaged
_NAME = re.compile(r"[a-z0-9][\w.-]{0,100}", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CopyRecord:
    """One copy made here. `parent_revision` pins what it was made from, `sha256` the copy's own files."""

    name: str
    directory: Path
    parent: str
    parent_revision: str | None
    scheme: str
    preset: str
    library: str
    licence: str
    parameters: int | None
    sha256: str

    @property
    def source(self) -> str:
        """Where it comes from, in words for a report."""
        return f"made here from {self.parent}: {self.scheme} ({self.library} {self.preset})"


def copies_dir(root: Path) -> Path:
    """Where copies lie below the cache's root."""
    return root / "copies"


def copy_dir(root: Path, name: str) -> Path:
    """The directory of one copy.

    Raises:
        ModelError: the name cannot be one.
    """
    if not _NAME.fullmatch(name) or name in PACKAGED_MODELS:
        taken = " and not that of a packaged model" if name in PACKAGED_MODELS else ""
        raise ModelError(
            f"{name!r} cannot name a copy: letters, digits, dots, dashes and underscores{taken}.",
            hint="Give another name with --as.",
        )
    return copies_dir(root) / name


def copy_names(root: Path) -> tuple[str, ...]:
    """Names of all copies, damaged ones included."""
    directory = copies_dir(root)
    if not directory.is_dir():
        return ()
    return tuple(sorted(each.name for each in directory.iterdir() if each.is_dir() and each.name[0] != "."))


def read_copy(root: Path, name: str) -> CopyRecord:
    """What is known of one copy.

    Raises:
        ModelError: a file is missing or was changed, or another version of kilotoken made it.
    """
    directory = copies_dir(root) / name
    try:
        if not is_complete(directory, version=QUANTISER_VERSION):
            raise ValueError("a file is missing or changed size")
        manifest = read_manifest(directory)
        digests = "".join(f"{path} {entry['sha256']}\n" for path, entry in sorted(manifest["files"].items()))
        return CopyRecord(
            name=name,
            directory=directory,
            sha256=hashlib.sha256(digests.encode()).hexdigest(),
            **{key: manifest[key] for key in COPY_FACTS},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"The copy {name} is damaged: {error}.",
            hint=f"Make it again: kilotoken models remove {name}, then kilotoken models quantize.",
        ) from error


#: What the manifest of a copy holds beside names, sizes and hashes.
COPY_FACTS = ("parent", "parent_revision", "scheme", "preset", "library", "licence", "parameters")
