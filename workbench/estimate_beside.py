"""Predicted beside measured: cells of runs of the same model on the same device, each estimated at its own load."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from accounting.errors import KilotokenError
from accounting.estimate.placement import Placement
from accounting.estimate.serving_estimate import Load, estimate
from serving.config import ServerConfig
from workbench.estimate_document import Asked
from workbench.losslessness_scope import speculates
from workbench.measured_device import THIS_MACHINE
from workbench.provenance import hardware, machine_sentence
from workbench.run_directory import RunDirectory

Row = dict[str, Any]


def measured_beside(runs: Path, model: str, asked: Asked) -> Row:
    """What runs in `runs` measured of this model on this device, with the median of |predicted / measured - 1|; the reason
    where there is nothing.
    """
    cells = [row for run in _finished(runs) for row in beside_run(run, model, asked.placed)]
    device = asked.placed.device.name
    return {
        "cells": cells,
        "median_error": median(abs(row["error"]) for row in cells) if cells else None,
        "reason": None if cells else f"no run in {runs} measured {model} without speculation on {device}",
    }


def beside_run(run: RunDirectory, model: str, placed: Placement) -> Iterator[Row]:
    """The valid, unspeculated cells of one run of this model, each with what the estimate says of it."""
    if not _same_device(run, placed):
        return
    configs = run.experiment().arm_configs(origin=str(run.path))
    arms = {
        name
        for name, config in configs.items()
        if isinstance(config, ServerConfig) and config.model.name == model and not speculates(config)
    }
    for cell in run.read_json("measures.json")["cells"]:
        if cell["arm"] not in arms or cell["verdict"]["throughput"] != "valid" or not cell["streams"]:
            continue
        row = _beside(cell, placed)
        if row is not None:
            yield {"run": run.path.name, **row}


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


def _finished(runs: Path) -> Iterator[RunDirectory]:
    for path in sorted(runs.glob("*/measures.json")):
        try:
            yield RunDirectory.open(path.parent)
        except KilotokenError:
            continue  # `kilotoken runs` names damaged ones


def _same_device(run: RunDirectory, placed: Placement) -> bool:
    """This machine is known by its sentence; a device of the catalogue by its name among the run's GPUs."""
    facts = run.read_json("provenance.json")["hardware"]
    if placed.device.name == THIS_MACHINE:
        return bool(machine_sentence(facts) == machine_sentence(hardware()))
    named = " ".join(str(gpu) for gpu in facts.get("gpus") or ()).lower()
    return all(part in named for part in placed.device.name.lower().split("-")[:1])
