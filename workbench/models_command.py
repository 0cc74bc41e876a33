"""What `kilotoken models` does: list, fetch, remove, quantize."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from accounting.errors import Interrupted, ModelError
from serving.engine_build import installed_engine
from serving.models.cache import bytes_below, converted_dir, remove_directory
from serving.models.catalogue import HubId, LocalPath, Packaged, QuantisedCopy, Shipped, classify_model
from serving.models.copies import copies_dir, copy_names
from serving.models.hub_cache import repository_dir
from serving.models.zoo import completed_dir
from workbench.model_inventory import DAMAGED, NOT_FETCHED, READY, ModelRow, all_models
from workbench.models import resolve_model
from workbench.quantise_model import quantise_model
from workbench.status_line import status_line, steps

_COLOURS = {READY: "green", NOT_FETCHED: "dim", DAMAGED: "red"}


def document(root: Path, hub_root: Path) -> list[dict[str, Any]]:
    """All models, for `--json`; sizes in bytes."""
    return [
        {
            "name": row.name,
            "kind": row.kind,
            "parameters": row.parameters,
            "licence": row.licence,
            "disk_bytes": row.disk_bytes,
            "needed_bytes": row.needed_bytes,
            "state": row.state,
            "source": row.source,
            "directory": str(row.directory) if row.directory else None,
            "problem": row.problem or None,
        }
        for row in all_models(root, hub_root)
    ]


def table(root: Path, hub_root: Path) -> Table:
    """All models, for a person."""
    shown = Table(box=None, pad_edge=False)
    for heading in ("model", "parameters", "licence", "disk", "state", "source"):
        shown.add_column(heading, justify="right" if heading in ("parameters", "disk") else "left")
    for row in all_models(root, hub_root):
        problem = f" ({row.problem})" if row.problem else ""
        shown.add_row(
            escape(row.name),
            _millions(row.parameters),
            escape(row.licence),
            _disk(row),
            f"[{_COLOURS[row.state]}]{row.state}[/]",
            f"[dim]{escape(row.source + problem)}[/]",
        )
    return shown


def _millions(parameters: int | None) -> str:
    return "–" if parameters is None else f"{parameters / 1e6:,.0f} M"


def _disk(row: ModelRow) -> str:
    if row.disk_bytes is not None:
        return f"{row.disk_bytes / 1e9:.2f} GB"
    return f"needs {row.needed_bytes / 1e9:.2f} GB" if row.needed_bytes is not None else "–"


def fetch(name: str, *, root: Path, base_dir: Path, console: Console) -> None:
    """Make a model ready, as a server's start would.

    Raises:
        ModelError: it cannot be had.
    """
    with status_line(console) as say:
        model = resolve_model(name, base_dir=base_dir, report=steps(say), root=root)
    console.print(
        f"{model.name} is ready in {model.served_from} ({model.source}; licence: {model.licence}).",
        markup=False,
        soft_wrap=True,
    )


def quantize(
    name: str, *, scheme: str, new_name: str | None, root: Path, base_dir: Path, console: Console
) -> None:
    """Make a quantised copy.

    Raises:
        ModelError: see `workbench.quantise_model`.
    """
    engine = installed_engine()
    with status_line(console) as say:
        copy = quantise_model(
            name,
            scheme_name=scheme,
            new_name=new_name,
            base_dir=base_dir,
            device=engine.device if engine else "cpu",
            root=root,
            report=steps(say),
        )
    size = bytes_below(copy.directory)
    console.print(f"{copy.name} is ready: {size / 1e9:.2f} GB, {copy.source}.", markup=False, soft_wrap=True)
    console.print(
        f"Serve it with `model: {{name: {copy.name}}}`. Its quality is not measured yet:",
        markup=False,
        soft_wrap=True,
    )
    console.print("  kilotoken quality CONFIG", markup=False, soft_wrap=True)


def remove(
    name: str,
    *,
    root: Path,
    hub_root: Path,
    base_dir: Path,
    confirm: Callable[[str], bool],
    console: Console,
) -> None:
    """Remove a model from the cache that kilotoken or the hub's library keeps it in.

    Raises:
        ModelError: it is not there, or it is the user's own directory.
        Interrupted: the user said no.
    """
    directory = _removable(name, root, hub_root, base_dir)
    size = bytes_below(directory / "blobs" if (directory / "blobs").is_dir() else directory)
    if not confirm(f"Remove {directory} ({size / 1e9:.2f} GB)?"):
        raise Interrupted("nothing was removed.")
    if directory.is_relative_to(root):
        remove_directory(directory)
    else:
        _remove_repository(directory)
    console.print(f"Removed {name}: {size / 1e9:.2f} GB are free again.", markup=False, soft_wrap=True)


def _removable(name: str, root: Path, hub_root: Path, base_dir: Path) -> Path:
    match classify_model(name, base_dir=base_dir, copies=copy_names(root)):
        case LocalPath(path):
            raise ModelError(
                f"{path} is your own directory, not one of the cache; kilotoken never removes those.",
                hint="`kilotoken models` lists what can be removed.",
            )
        case HubId(repository, revision):
            if revision is not None:
                raise ModelError(
                    f"A hub model is removed with all its revisions: name {repository} without @{revision}."
                )
            directory = repository_dir(hub_root, repository)
        case QuantisedCopy(copy):
            directory = copies_dir(root) / copy
        case Shipped(draft):
            if draft.base is None:
                raise ModelError(f"{name} ships with kilotoken; there is nothing of it in the cache.")
            directory = completed_dir(draft, root)
        case Packaged(model):
            directory = converted_dir(model, root)
    if not directory.is_dir():
        raise ModelError(
            f"{name} is not on this machine: there is nothing to remove.",
            hint="`kilotoken models` lists what is.",
        )
    return directory


def _remove_repository(directory: Path) -> None:
    """Take the name away first, so that no reader ever finds half a repository."""
    doomed = Path(tempfile.mkdtemp(prefix=".removing-", dir=directory.parent))
    directory.replace(doomed / directory.name)
    shutil.rmtree(doomed)
