"""What `kilotoken compare` does: opens finished runs, refuses what cannot be compared, makes one document."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accounting.errors import ConfigError, RunError
from workbench.compare_document import adjusted, not_valid, resolved, row_document
from workbench.compare_metrics import BY_CONSTRUCTION, METRICS, Metric, cost_metric
from workbench.compare_subjects import cells_of, check_arm, finished, model_notes, near
from workbench.compare_two_runs import compare_two_runs
from workbench.compared_arms import Cells, Question, paired_row
from workbench.deciding_cost import deciding
from workbench.experiment import Experiment
from workbench.loads import is_rate
from workbench.losslessness_rows import losslessness_rows, words_beside_a_win
from workbench.pair_count import counted_repeats
from workbench.quality.beside_arms import quality_rows
from workbench.run_directory import RunDirectory

DEFAULT_MARGIN = 0.03


def margin_of(text: str | None) -> float:
    """`3%` or `0.03` as a share.

    Raises:
        ConfigError: if it is neither, or not between 0 and 100 %.
    """
    if text is None:
        return DEFAULT_MARGIN
    try:
        value = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1:
        raise ConfigError(
            f"--margin {text!r} is no share between 0 and 100 %.", hint="For example 3% or 0.03."
        )
    return value


def metrics_of(names: Sequence[str]) -> list[Metric]:
    """The metrics of these names, all without any.

    Raises:
        ConfigError: for a name that is none.
    """
    for name in names:
        if name not in METRICS:
            raise ConfigError(
                f"--metric {name!r} is not known; there are {', '.join(METRICS)}.",
                hint=near(name, list(METRICS)),
            )
    return [METRICS[name] for name in names or METRICS]


def compare(
    run_path: Path, rest: Sequence[str], *, margin: float, metrics: Sequence[Metric]
) -> dict[str, Any]:
    """The document that `compare` prints: of arms of one run, or of two runs where `rest` begins with one.

    Raises:
        RunError: if a run is missing, unfinished, or cannot answer the question.
        ConfigError: for an arm that is none, or too many arguments.
    """
    run, experiment = finished(run_path)
    two_runs = bool(rest) and rest[0] not in experiment.arms and Path(rest[0]).is_dir()
    names = list(rest[1:] if two_runs else rest)
    if len(names) > 2:
        raise ConfigError(f"two arms can be compared, not {len(names)}: {', '.join(names)}.")
    if two_runs:
        document = compare_two_runs((run, experiment), finished(Path(rest[0])), names, metrics)
    else:
        document = _one_run(run, experiment, names, margin, metrics)
    _refuse_unmeasured(document, metrics)
    return document


def _one_run(
    run: RunDirectory, experiment: Experiment, names: list[str], margin: float, metrics: Sequence[Metric]
) -> dict[str, Any]:
    arms = list(experiment.arms)
    for name in names:
        check_arm(name, arms, run.path)
    against = names[1] if len(names) == 2 else experiment.baseline_arm
    contenders = names[:1] or [arm for arm in arms if arm != against]
    if contenders == [against]:
        raise ConfigError(f"{against} cannot be compared with itself.", hint=_choose(arms, against))
    if not contenders:
        raise RunError(
            f"{run.path} has one arm only, {against}: there is nothing to compare it with.",
            hint=f"Give its experiment a second arm, or name a second run: kilotoken compare {run.path} OTHER.",
        )
    counted = counted_repeats(run, experiment)
    if len(counted) < 2:
        raise RunError(
            f"{run.path} has {'one block' if counted else 'no block'} per arm that counts: one pair says nothing of the noise between blocks.",
            hint="Run it with `repeats: 4` or more, or see `kilotoken show` for the numbers themselves.",
        )
    cells = cells_of(run)
    # The family is every arm of the experiment, also where one is shown: choosing after a look changes no word.
    question = Question(margin, len(arms) - 1, counted)
    places = [(w, level.label) for w in experiment.workloads for level in experiment.loads.levels]
    rows = [
        paired_row(cells, metric, (arm, against), place, question)
        for metric in metrics
        for place in places
        for arm in arms
        if arm != against
    ]
    documents = [d for d in adjusted(rows, question.family) if d["arm"] in contenders]
    shown = [row for row in rows if row.arm in contenders]
    answers = losslessness_rows(run, experiment)
    on_answers = [words_beside_a_win(answers, arm, won=True).rstrip(".") for arm in contenders]
    return {
        "run": str(run.path),
        "design": "paired",
        "against": against,
        "margin": margin,
        "family": question.family,
        "comparisons": documents,
        "same_arms": _floor(run, experiment, cells, metrics, places, question),
        "cells_not_valid": not_valid(cells, [*contenders, against]),
        "resolved_differences": {arm: resolved(run, arm, run, against) for arm in contenders},
        "deciding": deciding(run, experiment, cells, shown, margin, (*contenders, against)),
        "quality": quality_rows(run, experiment),
        "notes": [
            *model_notes((run, experiment), contenders, against),
            *(words for words in on_answers if words),
        ],
    }


def _floor(
    run: RunDirectory,
    experiment: Experiment,
    cells: Cells,
    metrics: Sequence[Metric],
    places: Any,
    question: Question,
) -> list[dict[str, Any]]:
    """Arms that are the same configuration under two names: what they differ by is the noise."""
    configs = list(experiment.arm_configs(origin=str(run.path)).items())
    twins = [(b, a) for i, (a, one) in enumerate(configs) for b, two in configs[i + 1 :] if one == two]
    alone = Question(question.margin, 1, question.repeats)
    rows = [paired_row(cells, m, twin, place, alone) for m in metrics for place in places for twin in twins]
    return [row_document(row, None) for row in rows]


def _refuse_unmeasured(document: dict[str, Any], metrics: Sequence[Metric]) -> None:
    """With metrics that were asked for by name: one that no cell has is an error, not an empty table."""
    if len(metrics) == len(METRICS):
        return
    for metric in metrics:
        rows = [row for row in document["comparisons"] if row["metric"] == metric.key]
        if all(row["ratio"] is None for row in rows):
            why = next((text for row in rows for text in row["left_out"]), "the runs' SLOs differ")
            raise RunError(f"no usable {metric.title} in {document['run']}: {why}.")


def _choose(arms: list[str], against: str) -> str:
    others = [arm for arm in arms if arm != against]
    return f"Choose another arm: {', '.join(others)}." if others else ""


def refuse_fixed_rates(document: dict[str, Any]) -> None:
    """Raises RunError where cost cannot be judged: at fixed offered rates it is equal by construction."""
    if all(is_rate(row["load"]) for row in document["comparisons"]):
        raise RunError(
            f"--fail-if dearer has nothing to judge in {document['run']}: {BY_CONSTRUCTION}.",
            hint="Measure with `loads: capacity` or `loads: {streams: [...]}`.",
        )


def refuse_unjudged(document: dict[str, Any]) -> None:
    """Raises ConfigError where a load's own cost is not among the metrics: what is not looked at would always pass."""
    rows = [row for row in document["comparisons"] if not is_rate(row["load"])]
    shown = {(row["load"], row["metric"]) for row in rows}
    if lacking := sorted(
        {name for row in rows if (row["load"], name := cost_metric(row["load"])) not in shown}
    ):
        raise ConfigError(
            f"--fail-if dearer judges {' and '.join(lacking)} here, and --metric leaves it out.",
            hint=f"Add {' '.join(f'--metric {name}' for name in lacking)}, or leave --metric out.",
        )


def not_shown(document: dict[str, Any]) -> list[str]:
    """Places where cost is not shown to stay below the margin: what `--fail-if dearer` fails for."""
    return [
        f"{row['arm']} on {row['workload']} at {row['load']}: {row['margin']['reason']}"
        for row in document["comparisons"]
        if row["metric"] == cost_metric(row["load"])
        and not is_rate(row["load"])
        and not row["margin"]["shown"]
    ]
