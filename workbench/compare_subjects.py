"""Which runs and arms can be compared: finished runs, arms that they have, one model."""

from __future__ import annotations

import difflib
from pathlib import Path

from accounting.errors import ConfigError, RunError
from serving.config import ServerConfig
from workbench.compared_arms import Cells, cells_by_key
from workbench.experiment import AttachSection, Experiment
from workbench.pair_count import wanted_blocks
from workbench.run_directory import RunDirectory

Subject = tuple[RunDirectory, Experiment]


def finished(path: Path) -> Subject:
    """A run and its experiment.

    Raises:
        RunError: if it is missing or unfinished.
    """
    run = RunDirectory.open(path)
    blocks = wanted_blocks(run, run.experiment())
    missing = [block.block_id for block in blocks if run.finished(block) is None]
    if missing:
        raise RunError(
            f"{path} is not finished: {len(missing)} of {len(blocks)} blocks are missing ({', '.join(missing[:4])}"
            f"{', ...' if len(missing) > 4 else ''}).",
            hint=f"Go on with `kilotoken run --resume {path}`.",
        )
    return run, run.experiment()


def cells_of(run: RunDirectory) -> Cells:
    """Measures and costs of a run's cells."""
    return cells_by_key(run.read_json("measures.json")["cells"], run.read_json("cost.json")["cells"])


def check_arm(name: str, arms: list[str], path: Path) -> None:
    """Raises ConfigError, with the arm that was likely meant, if the run has no such arm."""
    if name not in arms:
        raise ConfigError(
            f"{name!r} is no arm of {path}, and no run directory; its arms: {', '.join(arms)}.",
            hint=near(name, arms),
        )


def near(name: str, known: list[str]) -> str:
    """The name that was likely meant, as a question; empty where none is near."""
    close = difflib.get_close_matches(name, known, 1)
    return f"Did you mean {close[0]}?" if close else ""


def refuse_other_model(first: Subject, one: str, second: Subject, two: str) -> None:
    """Raises RunError if the two arms are known to serve different models."""
    models = []
    for (run, experiment), arm in ((first, one), (second, two)):
        config: ServerConfig | AttachSection = experiment.arm_configs(origin=str(run.path))[arm]
        models.append(config.model.name if isinstance(config, ServerConfig) else config.model)
    if models[0] != models[1] and None not in models:
        raise RunError(
            f"{one} of {first[0].path} serves {models[0]}, {two} of {second[0].path} serves {models[1]}: "
            "tokens of different models are different goods.",
            hint="Compare runs of one model.",
        )
