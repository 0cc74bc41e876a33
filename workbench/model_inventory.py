"""Which models there are: the packaged ones, the drafts that ship, the copies made here and the hub snapshots on this machine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from accounting.errors import ModelError
from serving.models.cache import bytes_below, converted_dir, is_complete
from serving.models.checkpoint_facts import read_checkpoint_facts
from serving.models.copies import copies_dir, copy_names, read_copy
from serving.models.hub_cache import Snapshot, all_snapshots, licence_of
from serving.models.packaged import PACKAGED_MODELS, PackagedModel
from serving.models.zoo import COMPLETER_VERSION, completed_dir, zoo_draft, zoo_names

READY, NOT_FETCHED, DAMAGED = "ready", "not fetched", "damaged"


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model as `kilotoken models` shows it.

    `disk_bytes` is what it takes now, None where it is not here; `needed_bytes` what making it takes at the worst
    moment, None where it is here. `problem` says why it is damaged.
    """

    name: str
    kind: str
    parameters: int | None
    licence: str
    disk_bytes: int | None
    needed_bytes: int | None
    state: str
    source: str
    directory: Path | None
    problem: str = ""


def all_models(root: Path, hub_root: Path) -> list[ModelRow]:
    """Every model that can be named here, in the order packaged, shipped drafts, copies, hub."""
    return [
        *(_packaged_row(model, root) for model in PACKAGED_MODELS.values()),
        *(_shipped_row(name, root) for name in zoo_names()),
        *(_copy_row(root, name) for name in copy_names(root)),
        *_hub_rows(hub_root),
    ]


def _packaged_row(model: PackagedModel, root: Path) -> ModelRow:
    directory = converted_dir(model, root)
    here = directory.is_dir()
    state = READY if is_complete(directory) else DAMAGED if here else NOT_FETCHED
    return ModelRow(
        name=model.name,
        kind="packaged",
        parameters=model.parameters,
        licence=model.licence,
        disk_bytes=bytes_below(directory) if here else None,
        needed_bytes=None if state == READY else model.work_bytes,
        state=state,
        source=model.source,
        directory=directory if here else None,
        problem="a file is missing or changed size; the next use makes it again" if state == DAMAGED else "",
    )


def _shipped_row(name: str, root: Path) -> ModelRow:
    try:
        draft = zoo_draft(name)
    except ModelError as error:
        return ModelRow(
            name,
            "draft",
            None,
            "unknown",
            None,
            None,
            DAMAGED,
            "ships with kilotoken",
            None,
            f"{error.message} {error.hint}",
        )
    directory = draft.directory if draft.base is None else completed_dir(draft, root)
    here = draft.base is None or is_complete(directory, version=COMPLETER_VERSION)
    return ModelRow(
        name=name,
        kind="draft",
        parameters=None,
        licence=draft.licence,
        disk_bytes=bytes_below(directory) if here else None,
        needed_bytes=None
        if here
        else bytes_below(draft.directory) + PACKAGED_MODELS[draft.base or ""].disk_bytes,
        state=READY if here else NOT_FETCHED,
        source=f"ships with kilotoken, trained for {draft.target}",
        directory=directory if here else None,
    )


def _copy_row(root: Path, name: str) -> ModelRow:
    directory = copies_dir(root) / name
    try:
        copy = read_copy(root, name)
    except ModelError as error:
        problem = f"{error.message} {error.hint}"
        return ModelRow(
            name,
            "copy",
            None,
            "unknown",
            bytes_below(directory),
            None,
            DAMAGED,
            "made here",
            directory,
            problem,
        )
    return ModelRow(
        name=name,
        kind="copy",
        parameters=copy.parameters,
        licence=copy.licence,
        disk_bytes=bytes_below(directory),
        needed_bytes=None,
        state=READY,
        source=copy.source,
        directory=directory,
    )


def _hub_rows(hub_root: Path) -> Iterator[ModelRow]:
    for snapshot in all_snapshots(hub_root):
        yield ModelRow(
            name=snapshot.repository,
            kind="hub",
            parameters=_parameters(snapshot),
            licence=licence_of(snapshot.directory),
            disk_bytes=bytes_below(snapshot.directory),
            needed_bytes=None,
            state=DAMAGED if snapshot.problem else READY,
            source=f"model hub, commit {snapshot.commit[:12]}",
            directory=snapshot.directory,
            problem=snapshot.problem,
        )


def _parameters(snapshot: Snapshot) -> int | None:
    """Numbers in the weights; None where they cannot be read or are packed."""
    if snapshot.problem:
        return None
    facts = read_checkpoint_facts(snapshot.directory)
    if "quantization_config" in facts.config:
        return None
    return sum(math.prod(shape) for shape in facts.shapes.values())
