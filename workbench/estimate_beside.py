"""Predicted beside measured: cells of runs of the same model on the same device, each estimated at its own load."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from accounting.errors import KilotokenError
from accounting.estimate.placement import Placement
from accounting.estimate.serving_estimate import Load, estimate
from accounting.estimate.weight_bytes import Format
from serving.config import ServerConfig
from workbench.engine_warnings import server_file
from workbench.estimate_document import Asked
from workbench.estimate_numerics import lies_otherwise
from workbench.losslessness_scope import speculates
from workbench.measured_device import THIS_MACHINE
from workbench.provenance import hardware, machine_sentence
from workbench.run_device import ran_on
from workbench.run_directory import RunDirectory

Row = dict[str, Any]
#: What a damaged file of a run raises where it is read.
_DAMAGED = (KilotokenError, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError)


def measured_beside(runs: Path, model: str, asked: Asked) -> Row:
    """What runs in `runs` measured of this model on this device, with the median of |predicted / measured - 1|; the reason
    where there is nothing. `skipped`: runs that cannot be read, and why.
    """
    cells: list[Row] = []
    skipped: list[str] = []
    for path in sorted(runs.glob("*/measures.json")):
        try:
            cells += beside_run(RunDirectory.open(path.parent), model, asked.placed, stored=asked.stored)
        except _DAMAGED as error:
            skipped.append(f"{path.parent} was left out, as it cannot be read: {_words(error)}")
    return {
        "cells": cells,
        "median_error": median(abs(row["error"]) for row in cells) if cells else None,
        "reason": None if cells else "; ".join([_nothing(runs, model, asked.placed), *skipped]),
        "skipped": skipped,
    }


def beside_run(
    run: RunDirectory, model: str, placed: Placement, *, stored: Format | None = None
) -> Iterator[Row]:
    """The valid, unspeculated cells of one run of this model in the same numbers and on as many devices, each with what the
    estimate says of it. `stored`: the number format of a quantised checkpoint.

    Raises:
        KilotokenError: if the run's files are missing or damaged; what reading values raises where they are others.
    """
    if not _same_device(run, placed):
        return
    configs = run.experiment().arm_configs(origin=str(run.path))
    arms = {
        name
        for name, config in configs.items()
        if isinstance(config, ServerConfig)
        and config.model.name == model
        and not speculates(config)
        and not lies_otherwise(config, placed, stored, dtype=_resolved_dtype(run, name))
    }
    for cell in run.read_json("measures.json")["cells"]:
        if cell["arm"] not in arms or cell["verdict"]["throughput"] != "valid" or not cell["streams"]:
            continue
        row = _beside(cell, placed)
        if row is not None:
            yield {"run": run.path.name, **row}


def _resolved_dtype(run: RunDirectory, arm: str) -> str | None:
    said = server_file(run, arm, "resolved.json").get("model_config.dtype")
    return str(said) if said else None


def _beside(cell: Row, placed: Placement) -> Row | None:
    """Predicted and measured tokens/s at the cell's own streams and mean lengths; None where these are not known."""
    if not cell["requests"] or not cell["prompt_tokens"] or not cell["output_tokens_per_s"]:
        return None
    asked_tokens = cell["prompt_tokens"] - (cell.get("cached_prompt_tokens") or 0)
    load = Load(
        batch=cell["streams"],
        input_tokens=max(1, round(asked_tokens / cell["requests"])),
        output_tokens=max(1, round(cell["output_tokens"] / cell["requests"])),
    )
    found = estimate(placed, load)
    predicted, measured = found.tokens_per_s, cell["output_tokens_per_s"]
    return {
        "arm": cell["arm"], "workload": cell["workload"], "block": cell["block"], "streams": cell["streams"],
        "input_tokens": load.input_tokens, "output_tokens": load.output_tokens,
        "predicted_tokens_per_s": predicted, "measured_tokens_per_s": measured,
        "error": predicted / measured - 1.0, "bound": found.step.bound,
    }  # fmt: skip


def _same_device(run: RunDirectory, placed: Placement) -> bool:
    """This machine is known by its sentence; a device of the catalogue by its names among the run's GPUs."""
    facts = run.read_json("provenance.json")["hardware"]
    if placed.device.name == THIS_MACHINE:
        return bool(machine_sentence(facts) == machine_sentence(hardware()))
    return ran_on(facts.get("gpus") or (), placed.device.name)


def _nothing(runs: Path, model: str, placed: Placement) -> str:
    devices = f" on {placed.devices} devices" if placed.devices > 1 else ""
    return f"no run in {runs} measured {model} without speculation on {placed.device.name} in {placed.weights}{devices}"


def _words(error: Exception) -> str:
    """One line, whatever was raised."""
    said = error.message if isinstance(error, KilotokenError) else repr(error)
    return " ".join(said.split())
