"""Where `kilotoken estimate` reads a model's shape: a directory, a packaged model, or what the hub's cache holds."""

from __future__ import annotations

from pathlib import Path

from accounting.errors import ModelError
from accounting.estimate.shape import ModelShape
from serving.models.checkpoint_facts import read_checkpoint_facts
from serving.models.shape_from_config import read_shape
from workbench.models import model_on_disk, resolve_model


def _quietly(_stage: str, _done: int, _total: int | None) -> None:
    """An estimate says nothing of a download's progress."""


def read_model(text: str) -> tuple[ModelShape, tuple[str, ...]]:
    """The shape, and what a reader should know of how it was read. A model that is not here yet is fetched.

    Raises:
        ModelError: if there is no such model, or its config.json does not say enough.
    """
    directory = Path(text)
    if not (directory / "config.json").is_file():
        if directory.is_dir():
            raise ModelError(
                f"{directory} holds no config.json.",
                hint="Give the directory of a checkpoint, or a model's name.",
            )
        found = model_on_disk(text, base_dir=Path())
        directory = found or Path(resolve_model(text, base_dir=Path(), report=_quietly).served_from)
    facts = read_checkpoint_facts(directory, name=text)
    found_shape = read_shape(facts)
    return found_shape.shape, found_shape.notes
