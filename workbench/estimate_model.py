"""Where `kilotoken estimate` finds a model: a directory, a packaged model, or a hub id, of which config.json alone is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from accounting.errors import ModelError
from accounting.estimate.shape import ModelShape
from accounting.estimate.weight_bytes import Format
from serving.models.cache import cache_root
from serving.models.catalogue import HubId, classify_model
from serving.models.checkpoint_facts import read_checkpoint_facts
from serving.models.copies import copy_names
from serving.models.fetch import RunChild, run_child
from serving.models.hub_cache import find_snapshot, hub_cache_root
from serving.models.shape_from_config import read_shape
from serving.models.stored_format import stored_format
from workbench.child_steps import run_module
from workbench.models import model_on_disk, resolve_model
from workbench.terminal import err

_CONFIG_FETCHER = "serving.models.hub_config"


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model's shape, what a reader should know of how it was read, and the number format of a quantised checkpoint."""

    shape: ModelShape
    notes: tuple[str, ...] = ()
    stored: Format | None = None


def _quietly(_stage: str, _done: int, _total: int | None) -> None:
    """An estimate says that something is fetched, and nothing of the progress."""


def read_model(text: str, *, run: RunChild = run_child) -> FoundModel:
    """Read what its config.json says. Of a hub repository that is not here only this file is fetched; a packaged model that
    is not here yet has to be fetched and converted, which is said.

    Raises:
        ModelError: if there is no such model, or its config.json does not say enough.
    """
    directory, more = _directory(text, run)
    facts = read_checkpoint_facts(directory, name=text)
    found = read_shape(facts)
    stored, unknown = stored_format(facts)
    return FoundModel(found.shape, (*more, *found.notes, *([unknown] if unknown else [])), stored)


def _directory(text: str, run: RunChild) -> tuple[Path, tuple[str, ...]]:
    directory = Path(text)
    if (directory / "config.json").is_file():
        return directory, ()
    if directory.is_dir():
        raise ModelError(
            f"{directory} holds no config.json.",
            hint="Give the directory of a checkpoint, or a model's name.",
        )
    source = classify_model(text, base_dir=Path(), copies=copy_names(cache_root()))
    if isinstance(source, HubId):
        return _of_hub(source, run), ()
    if (found := model_on_disk(text, base_dir=Path())) is not None:
        return found, ()
    said = f"{text} was not here yet: it is fetched and converted whole, as its config.json is made with it"
    err.print(f"{said}.", style="dim", markup=False, soft_wrap=True)
    return Path(resolve_model(text, base_dir=Path(), report=_quietly).served_from), (said,)


def _of_hub(source: HubId, run: RunChild) -> Path:
    """A snapshot that is here, whole or not, as long as it has a config.json; else that file from the hub."""
    here = find_snapshot(hub_cache_root(), source.repository, source.revision, tokenizer_needed=False)
    if here is not None and (here.directory / "config.json").is_file():
        return here.directory
    cache = cache_root() / "configs"
    outcome = run_module(
        _CONFIG_FETCHER,
        [source.repository, source.revision or "", str(cache)],
        _quietly,
        environment={"HF_HUB_DISABLE_SHARED_BLOBS": "1"},
        run=run,
    )
    if outcome.error:
        raise ModelError(outcome.error, hint=outcome.hint, details="" if outcome.hint else outcome.details)
    return Path(outcome.result["directory"])
