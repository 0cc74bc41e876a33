"""Decides what the text that names a model means: a packaged model, a copy made here, a directory or a hub id."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from accounting.errors import ModelError
from serving.models.cache import cache_root
from serving.models.copies import copy_names
from serving.models.packaged import PACKAGED_MODELS, PackagedModel
from serving.models.quantisation import SCHEMES
from serving.models.zoo import ZooDraft, zoo_draft, zoo_names


@dataclass(frozen=True, slots=True)
class Packaged:
    """The text names a packaged model."""

    model: PackagedModel


@dataclass(frozen=True, slots=True)
class LocalPath:
    """The text is a path on this machine (absolute; whether it holds a checkpoint is not yet checked)."""

    path: Path


@dataclass(frozen=True, slots=True)
class HubId:
    """The text is a hub repository, `org/name`, and the revision asked for, if any."""

    repository: str
    revision: str | None


@dataclass(frozen=True, slots=True)
class QuantisedCopy:
    """The text names a copy that was made here."""

    name: str


@dataclass(frozen=True, slots=True)
class Shipped:
    """The text names a draft that ships with kilotoken."""

    draft: ZooDraft


ModelSource = Packaged | Shipped | QuantisedCopy | LocalPath | HubId

_HUB_ID = re.compile(r"(?P<repository>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>\w[\w./-]*))?", re.ASCII)
_PATH_STARTS = ("/", "./", "../", "~")


def classify_model(text: str, *, base_dir: Path, copies: Collection[str] | None = None) -> ModelSource:
    """What `text` names; relative paths are taken from `base_dir`. `copies` are the names of copies made here, by default
    those in the user's own cache.

    A packaged name, a shipped draft's, then a copy's, wins over a directory of the same name (write ./name for the directory), and an existing
    path wins over a hub id. A name that is none of the three is an error, not a guess: a misspelt packaged
    name must not become a download attempt from a hub.
    """
    text = text.strip()
    copies = copy_names(cache_root()) if copies is None else copies
    if text in PACKAGED_MODELS:
        return Packaged(PACKAGED_MODELS[text])
    if text in zoo_names():
        return Shipped(zoo_draft(text))
    if text in copies:
        return QuantisedCopy(text)
    if text in (".", "..") or text.startswith(_PATH_STARTS):
        return LocalPath(_absolute(text, base_dir))
    if text and _exists(base_dir / text):
        return LocalPath(_absolute(text, base_dir))
    if match := _HUB_ID.fullmatch(text):
        return HubId(match["repository"], match["revision"])
    raise _unknown_model(text, copies)


def name_anywhere(text: str, *, base_dir: Path) -> str:
    """The same model named from any directory: a path becomes whole, every other name stays.

    Raises:
        ModelError: if it names no model.
    """
    source = classify_model(text, base_dir=base_dir)
    return str(source.path) if isinstance(source, LocalPath) else text


def _shipped() -> str:
    names = zoo_names()
    return f", a draft that ships ({', '.join(names)})" if names else ""


def _absolute(text: str, base_dir: Path) -> Path:
    try:
        expanded = Path(text).expanduser()
    except RuntimeError as error:  # ~nobody: no such user
        raise ModelError(f"The model path {text!r} cannot be resolved: {error}") from error
    return Path(base_dir, expanded).absolute()


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long a name, a null byte: not a path
        return False


def _unknown_model(text: str, copies: Collection[str] = ()) -> ModelError:
    """The error for a name that means nothing here, with the nearest one that does."""
    made_here = f", a copy made here ({', '.join(sorted(copies))})" if copies else ""
    allowed = (
        f"Allowed are a packaged model ({', '.join(PACKAGED_MODELS)}){_shipped()}{made_here}, a directory that exists (or a"
        " path that starts with /, ./, ../ or ~), or a hub repository as org/name or org/name@revision."
    )
    stem, _, scheme = text.rpartition("-")
    if scheme in SCHEMES and stem in PACKAGED_MODELS:
        return ModelError(
            f"The copy {text!r} has not been made on this machine yet.",
            hint=f"Make it: kilotoken models quantize {stem} --scheme {scheme}",
        )
    if "/" not in text:
        lowered = {name.lower(): name for name in (*PACKAGED_MODELS, *zoo_names(), *copies)}
        nearest = difflib.get_close_matches(text.lower(), lowered, n=1, cutoff=0.5)
        if nearest:
            name = lowered[nearest[0]]
            return ModelError(
                f"There is no model {text!r}; the nearest name is {name!r}. {allowed}", hint=f"Use {name}."
            )
    return ModelError(f"{text!r} names no model: no such path, and not a hub repository. {allowed}")
