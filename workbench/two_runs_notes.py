"""What must be said beside two runs that are compared: what of the work, the price and the answers was not the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from accounting.errors import KilotokenError
from serving.numerics import Numerics
from workbench.compare_subjects import Subject
from workbench.experiment import AttachSection, workload_label
from workbench.losslessness_rows import losslessness_rows, words_beside_a_win
from workbench.losslessness_scope import speculates
from workbench.quality.beside_arms import NOT_MEASURED, quality_rows
from workbench.quality.subjects import arm_numerics, run_base_dir

Sides = tuple[Subject, Subject]
Pairs = Sequence[tuple[str, str]]


def work_notes(sides: Sides, workloads: Iterable[str]) -> list[str]:
    """Where price, lengths, window, capacity or prompts differ."""
    (run, experiment), (other_run, other) = sides
    notes = ["unpaired: a difference between boxes or dates is part of every ratio"]
    if experiment.price != other.price:
        prices = (
            f"${p.usd_per_hour:g} per hour ({p.source}, {p.as_of})" for p in (experiment.price, other.price)
        )
        notes.append(f"each run is priced by its own price: {' against '.join(prices)}")
    for section in ("output", "workload_seed", "window"):
        if getattr(experiment, section) != getattr(other, section):
            notes.append(f"the runs differ in `{section}`: the work was not the same")
    if experiment.loads.capacity != other.loads.capacity:
        notes.append("the runs differ in `loads.capacity`: their loads were not chosen alike")
    return notes + [
        f"{workload} is not the same file in both runs: the prompts were not the same"
        for workload in workloads
        if _files(run.path, workload) != _files(other_run.path, workload)
    ]


def _files(run: Path, workload: str) -> dict[str, str]:
    """Name and SHA-256 of the files that a run keeps of a workload; empty for a built-in one."""
    folder = run / "workloads" / workload_label(workload)
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.glob("*"))}


def answer_notes(sides: Sides, pairs: Pairs) -> list[str]:
    """What is known of each arm's answers against its own run's baseline, and of numerics that differ."""
    notes = []
    for arms in pairs:
        for subject, arm in zip(sides, arms, strict=True):
            if words := _of_answers(subject, arm):
                notes.append(f"{subject[0].path}: {words}")
        notes += _of_numerics(sides, arms)
    return notes


def _of_answers(subject: Subject, arm: str) -> str:
    run, experiment = subject
    rows = losslessness_rows(run, experiment)
    if any(row["arm"] == arm for row in rows):
        return words_beside_a_win(rows, arm, won=True).rstrip(".")
    config = experiment.arm_configs(origin=str(run.path))[arm]
    if not isinstance(config, AttachSection) and speculates(config):
        return f"whether speculation changed {arm}'s answers is not measured"
    return ""


def _of_numerics(sides: Sides, arms: tuple[str, str]) -> list[str]:
    """That two arms compute in other numerics, unless both runs have a score beside them."""
    numerics = [_numerics(subject, arm) for subject, arm in zip(sides, arms, strict=True)]
    one, other = numerics
    if one is None or other is None or one.fingerprint == other.fingerprint:
        return []
    differs = ", ".join(one.difference(other))
    return [f"{arms[0]} and {arms[1]} differ in numerics ({differs}): {_score_words(sides, arms)}"]


def _score_words(sides: Sides, arms: tuple[str, str]) -> str:
    scored = [
        any(row["arm"] == arm and row["measured"] for row in quality_rows(*subject))
        for subject, arm in zip(sides, arms, strict=True)
    ]
    return "the scores of both stand below" if all(scored) else NOT_MEASURED


def _numerics(subject: Subject, arm: str) -> Numerics | None:
    """None where they are not known: a server that has ended, a model that is no longer here."""
    run, experiment = subject
    try:
        return arm_numerics(experiment.arm_configs(origin=str(run.path))[arm], run_base_dir(run))
    except KilotokenError:
        return None


def scores(sides: Sides, pairs: Pairs) -> list[dict[str, Any]]:
    """Quality rows of the arms that are compared, of both runs."""
    return [
        row | {"run": str(subject[0].path)}
        for number, subject in enumerate(sides)
        for row in quality_rows(*subject)
        if row["arm"] in {pair[number] for pair in pairs}
    ]
