"""Which runs and arms can be compared: finished runs, arms that they have, one model."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from pathlib import Path

from accounting.errors import ConfigError, RunError
from serving.config import ServerConfig
from workbench.compared_arms import Cells, cells_by_key
from workbench.experiment import Experiment
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
    if different := _different_models(first, one, second, two):
        raise RunError(
            f"{one} of {first[0].path} serves {different[0]}, {two} of {second[0].path} serves {different[1]}: "
            "tokens of different models are different goods.",
            hint="Compare runs of one model.",
        )


def model_notes(subject: Subject, arms: Iterable[str], against: str) -> list[str]:
    """What must be said where arms of one run serve other models, as quantised copies are: asked for, so not refused."""
    return [
        f"{arm} serves {different[0]}, {against} serves {different[1]}: a cheaper token of another model is another good"
        for arm in arms
        if (different := _different_models(subject, arm, subject, against))
    ]


def _different_models(first: Subject, one: str, second: Subject, two: str) -> tuple[str, str] | None:
    """Both models, if they are known and differ. A server that ran already is known by the name that it serves."""
    sides = ((first, one), (second, two))
    configs = [subject[1].arm_configs(origin=str(subject[0].path))[arm] for subject, arm in sides]
    names = [config.model.name for config in configs if isinstance(config, ServerConfig)]
    if len(names) < len(sides):
        names = [name for (run, _), arm in sides if (name := _served_name(run, arm)) is not None]
    return (names[0], names[1]) if len(names) == len(sides) and names[0] != names[1] else None


def _served_name(run: RunDirectory, arm: str) -> str | None:
    """The name under which an arm's model was asked, from what its load was told; None where that is not on record."""
    for block in run.plan().blocks:
        attempt = run.finished(block)
        if block.arm != arm or attempt is None:
            continue
        for cell in block.cells:
            told = attempt.cell(cell).path / "load.json"
            try:
                return str(json.loads(told.read_text(encoding="utf-8"))["model"])
            except (OSError, ValueError, KeyError):
                continue
    return None
