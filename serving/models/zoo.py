"""The drafts that ship with kilotoken: trained here, small enough for the repository, named like any model.

A directory of `drafts/zoo` is one draft, whole, or without the tensors that training left as they were in a packaged model:
`base.json` names that one, and the weights are called `trained.safetensors`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from accounting.errors import ModelError
from serving.models.packaged import PACKAGED_MODELS

ZOO = Path(__file__).resolve().parents[2] / "drafts" / "zoo"
BASE, TRAINED, MANIFEST = "base.json", "trained.safetensors", "kilotoken-draft.json"
#: Raise it when a draft is completed otherwise: older ones in the cache are then not used.
COMPLETER_VERSION = 1


@dataclass(frozen=True, slots=True)
class ZooDraft:
    """`base`: the packaged model that the other tensors come from; None where the directory is whole."""

    name: str
    directory: Path
    base: str | None
    licence: str
    target: str
    weights_sha256: str
    """Of the whole model.safetensors."""


def zoo_names(zoo: Path = ZOO) -> tuple[str, ...]:
    """Names of the drafts that ship."""
    return tuple(sorted(path.parent.name for path in zoo.glob(f"*/{MANIFEST}")))


def zoo_draft(name: str, zoo: Path = ZOO) -> ZooDraft:
    """What ships under this name.

    Raises:
        ModelError: if nothing does, or its files are damaged.
    """
    directory = zoo / name
    try:
        manifest = json.loads((directory / MANIFEST).read_bytes())
        base = json.loads((directory / BASE).read_bytes())["model"] if (directory / BASE).is_file() else None
        found = ZooDraft(
            name, directory, base, str(manifest["licence"]), str(manifest["target"]["name"]),
            str(manifest["files"]["model.safetensors"]),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"The draft {name} in {zoo} is damaged: {error!r}.",
            hint="Install kilotoken again, or check it out anew.",
        ) from error
    if found.base is not None and found.base not in PACKAGED_MODELS:
        raise ModelError(f"The draft {name} rests on {found.base!r}, which is no packaged model.")
    return found


def completed_dir(draft: ZooDraft, root: Path) -> Path:
    """Where a draft that rests on a packaged model lies when it is whole, below the cache's root."""
    return root / "zoo" / f"{draft.name}-{draft.weights_sha256[:12]}-v{COMPLETER_VERSION}"
