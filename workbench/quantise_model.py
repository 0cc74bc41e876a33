"""A quantised copy of a model: made in a child process, kept in the model cache, named like any other model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accounting.errors import ModelError
from serving.models.cache import bytes_below, make_atomically
from serving.models.checkpoint_check import check_checkpoint
from serving.models.checkpoint_facts import read_checkpoint_facts
from serving.models.copies import QUANTISER_VERSION, CopyRecord, copy_dir, copy_names, read_copy
from serving.models.fetch import Report, RunChild, run_child
from serving.models.quantisation import Scheme, require_scheme
from workbench.child_steps import failure, run_module
from workbench.models import ModelKind, ResolvedModel, check_memory, resolve_model

_LIBRARIES_BYTES = (
    1_200_000_000  # torch and transformers, before any weight; measured: SmolLM2 peaks at 1.5 GB
)


def quantise_model(
    text: str,
    *,
    scheme_name: str,
    new_name: str | None,
    base_dir: Path,
    device: str,
    root: Path,
    report: Report,
    run: RunChild = run_child,
) -> CopyRecord:
    """Make a copy of the model that `text` names, quantised for the engine on `device` ("cpu" or "cuda").

    Raises:
        ModelError: no such model or scheme, the engine would not run it, the name is taken, the model is quantised
            already, or disk or memory do not suffice.
        MachineError: the cache cannot be used.
    """
    scheme = require_scheme(scheme_name, device=device)
    if new_name is not None:
        _check_free(root, new_name)  # before minutes are spent
    parent = resolve_model(text, base_dir=base_dir, report=report, root=root)
    if parent.kind is ModelKind.COPY:
        raise ModelError(f"{parent.name} is quantised already: {parent.source}.", hint="Name the original.")
    name = new_name or f"{parent.name}-{scheme.name}".lower()
    _check_free(root, name)
    source_bytes = bytes_below(Path(parent.served_from))

    def build(partial: Path) -> Mapping[str, Any]:
        check_memory(source_bytes * 3 // 2 + _LIBRARIES_BYTES, f"Quantising {parent.name}")
        return _quantise_in_child(parent, scheme, partial, report, run) | _origin(parent, scheme, text)

    make_atomically(
        copy_dir(root, name),
        build,
        name=name,
        version=QUANTISER_VERSION,
        needed_bytes=source_bytes,  # a copy is smaller; how much depends on the share of the embeddings
        on_wait=lambda: report(f"waiting for another process that makes {name}", 0, None),
    )
    return read_copy(root, name)


def _check_free(root: Path, name: str) -> None:
    copy_dir(root, name)  # refuses what cannot be a name
    if name not in copy_names(root):
        return
    try:
        taken = read_copy(root, name)
    except ModelError:
        return  # damaged: made again
    raise ModelError(
        f"There is a copy {name} already, {taken.source}.",
        hint=f"Use it, give another name with --as, or first: kilotoken models remove {name}",
    )


def _origin(parent: ResolvedModel, scheme: Scheme, text: str) -> dict[str, Any]:
    name = {
        ModelKind.LOCAL: parent.served_from,
        ModelKind.HUB: f"{text.partition('@')[0]}@{parent.revision}",
    }.get(parent.kind, parent.name)
    shapes = read_checkpoint_facts(Path(parent.served_from)).shapes
    return {
        "parent": name,
        "parent_revision": parent.revision,
        "scheme": scheme.name,
        "preset": scheme.preset,
        "licence": parent.licence,
        "parameters": sum(math.prod(shape) for shape in shapes.values()),
    }


def _quantise_in_child(
    parent: ResolvedModel, scheme: Scheme, partial: Path, report: Report, run: RunChild
) -> dict[str, Any]:
    outcome = run_module(
        "drafts.quantise_checkpoint",
        [scheme.name, parent.served_from, str(partial)],
        report,
        stage_prefix=f"{scheme.name}: ",
        environment={"HF_HUB_OFFLINE": "1"},
        run=run,
    )
    if outcome.error:
        raise failure(
            f"{parent.name} could not be quantised",
            outcome,
            hint="Quantising needs torch and the extra kilotoken[convert], and weights that transformers reads.",
        )
    check_checkpoint(partial)
    return {"library": outcome.result["library"]}
