"""What `kilotoken compare` does: opens finished runs, refuses what cannot be compared, makes one document."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from accounting.errors import ConfigError, RunError
from accounting.multiplicity import holm
from serving.config import ServerConfig
from serving.resolved import resolved_difference
from workbench.compare_metrics import METRICS, Metric
from workbench.compared_arms import Cells, Question, Row, cells_by_key, paired_row, still_to_run, unpaired_row
from workbench.engine_warnings import server_file
from workbench.experiment import AttachSection, Experiment
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
                hint=_near(name, list(METRICS)),
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
    run, experiment = _finished(run_path)
    two_runs = bool(rest) and rest[0] not in experiment.arms and Path(rest[0]).is_dir()
    names = list(rest[1:] if two_runs else rest)
    if len(names) > 2:
        raise ConfigError(f"two arms can be compared, not {len(names)}: {', '.join(names)}.")
    if two_runs:
        document = _two_runs((run, experiment), _finished(Path(rest[0])), names, metrics)
    else:
        document = _one_run(run, experiment, names, margin, metrics)
    _refuse_unmeasured(document, metrics)
    return document


def _finished(path: Path) -> tuple[RunDirectory, Experiment]:
    run = RunDirectory.open(path)
    blocks = run.plan().blocks
    missing = [block.block_id for block in blocks if run.finished(block) is None]
    if missing:
        raise RunError(
            f"{path} is not finished: {len(missing)} of {len(blocks)} blocks are missing ({', '.join(missing[:4])}"
            f"{', ...' if len(missing) > 4 else ''}).",
            hint=f"Go on with `kilotoken run --resume {path}`.",
        )
    return run, run.experiment()


def _one_run(
    run: RunDirectory, experiment: Experiment, names: list[str], margin: float, metrics: Sequence[Metric]
) -> dict[str, Any]:
    arms = list(experiment.arms)
    for name in names:
        _check_arm(name, arms, run.path)
    against = names[1] if len(names) == 2 else experiment.baseline_arm
    contenders = names[:1] or [arm for arm in arms if arm != against]
    if contenders == [against]:
        raise ConfigError(f"{against} cannot be compared with itself.", hint=_choose(arms, against))
    if not contenders:
        raise RunError(f"{run.path} has one arm only, {against}: there is nothing to compare it with.")
    if experiment.repeats < 2:
        raise RunError(
            f"{run.path} has one block per arm: one pair says nothing of the noise between blocks.",
            hint="Run it with `repeats: 4` or more, or see `kilotoken show` for the numbers themselves.",
        )
    cells = _cells(run)
    # The family is every arm of the experiment, also where one is shown: choosing after a look changes no word.
    question = Question(margin, len(arms) - 1, range(1, experiment.repeats + 1))
    places = [(w, s) for w in experiment.workloads for s in experiment.loads.streams]
    rows = [
        paired_row(cells, metric, (arm, against), place, question)
        for metric in metrics
        for place in places
        for arm in arms
        if arm != against
    ]
    documents = [d for d in _adjusted(rows, question.family) if d["arm"] in contenders]
    shown = [row for row in rows if row.arm in contenders]
    return {
        "run": str(run.path),
        "design": "paired",
        "against": against,
        "margin": margin,
        "family": question.family,
        "comparisons": documents,
        "same_arms": _floor(run, experiment, cells, metrics, places, question),
        "cells_not_valid": _not_valid(cells, [*contenders, against]),
        "resolved_differences": {arm: _resolved(run, arm, run, against) for arm in contenders},
        "deciding": _deciding(run, experiment, cells, shown, margin, (*contenders, against)),
        "notes": [],
    }


def _two_runs(
    first: tuple[RunDirectory, Experiment],
    second: tuple[RunDirectory, Experiment],
    names: list[str],
    metrics: Sequence[Metric],
) -> dict[str, Any]:
    (run, experiment), (other_run, other) = first, second
    common = [arm for arm in experiment.arms if arm in other.arms]
    if names:
        pairs = [(names[0], names[-1])]
        _check_arm(names[0], list(experiment.arms), run.path)
        _check_arm(names[-1], list(other.arms), other_run.path)
    elif common:
        pairs = [(arm, arm) for arm in common]
    else:
        raise RunError(
            f"{run.path} and {other_run.path} have no arm of the same name.",
            hint=f"Name one of each: {', '.join(experiment.arms)}; {', '.join(other.arms)}.",
        )
    if run.path.resolve() == other_run.path.resolve():
        raise ConfigError(
            "both runs are the same directory.", hint="Name two arms to compare within it, paired."
        )
    for one, two in pairs:
        _refuse_other_model(first, one, second, two)
    places = [
        (w, s)
        for w in experiment.workloads
        if w in other.workloads
        for s in experiment.loads.streams
        if s in other.loads.streams
    ]
    if not places:
        raise RunError("the two runs share no workload at the same number of streams: nothing is comparable.")
    if experiment.repeats < 2 or other.repeats < 2:
        raise RunError(
            "a run has one block per arm: nothing is known of its noise.", hint="Use `repeats: 4`."
        )
    notes = ["unpaired: a difference between boxes or dates is part of every ratio"]
    if experiment.price != other.price:
        notes.append("each run is priced by its own price")
    for section in ("output", "workload_seed", "window"):
        if getattr(experiment, section) != getattr(other, section):
            notes.append(f"the runs differ in `{section}`: the work was not the same")
    if experiment.slo != other.slo:
        notes.append("the SLOs differ: metrics within the SLO are left out")
        metrics = [metric for metric in metrics if not metric.within_slo]
    sides = (_cells(run), _cells(other_run))
    rows = [
        unpaired_row(sides, metric, pair, place, len(pairs))
        for metric in metrics
        for place in places
        for pair in pairs
    ]
    return {
        "run": str(run.path),
        "against_run": str(other_run.path),
        "design": "unpaired",
        "family": len(pairs),
        "comparisons": _adjusted(rows, len(pairs)),
        "same_arms": [],
        "cells_not_valid": [
            *_not_valid(sides[0], [a for a, _ in pairs], str(run.path)),
            *_not_valid(sides[1], [b for _, b in pairs], str(other_run.path)),
        ],
        "resolved_differences": {a: _resolved(run, a, other_run, b) for a, b in pairs},
        "deciding": {"reason": "unpaired: the number of pairs is not known from blocks of two runs"},
        "notes": notes,
    }


def _cells(run: RunDirectory) -> Cells:
    return cells_by_key(run.read_json("measures.json")["cells"], run.read_json("cost.json")["cells"])


def _adjusted(rows: Sequence[Row], family: int) -> list[dict[str, Any]]:
    """Rows as documents, with Holm's p-value over the arms of one metric and place."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault((row.metric.key, row.place), []).append(row)
    documents = []
    for group in groups.values():
        p_values = [_p(row) for row in group]
        known = [p for p in p_values if p is not None]
        adjusted = iter(holm(known, family=family))
        documents += [
            _document(row, p, None if p is None else next(adjusted))
            for row, p in zip(group, p_values, strict=True)
        ]
    return documents


def _p(row: Row) -> float | None:
    p: float | None = getattr(row.found, "t_p", getattr(row.found, "p_value", None))
    return p


def _document(row: Row, p_value: float | None, adjusted: float | None) -> dict[str, Any]:
    found = row.found
    return {
        "metric": row.metric.key,
        "title": row.metric.title,
        "better": "above 1" if row.metric.higher_is_better else "below 1",
        "arm": row.arm,
        "against": row.against,
        "workload": row.place[0],
        "streams": row.place[1],
        "ratio": found.ratio,
        "interval": found.interval,
        "confidence": found.confidence,
        "word": row.word,
        "reason": found.reason or None,
        "pair_ratios": list(getattr(found, "pair_ratios", ())),
        "blocks": list(getattr(found, "blocks", ())),
        "p_value": p_value,
        "p_holm": adjusted,
        "sign_flip_p": getattr(found, "sign_flip_p", None),
        "left_out": list(row.left_out),
        "margin": None if row.margin is None else asdict(row.margin),
        "needed": None if row.needed is None else asdict(row.needed),
        "still_to_run": still_to_run(row),
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
    return [_document(row, _p(row), None) for row in rows]


def _not_valid(cells: Cells, arms: Sequence[str], run: str = "") -> list[dict[str, Any]]:
    return [
        {"run": run, **{k: m[k] for k in ("arm", "workload", "streams", "repeat", "verdict", "reason")}}
        for (arm, *_), (m, _) in cells.items()
        if arm in arms and any(word not in (None, "valid") for word in m["verdict"].values())
    ]


def _resolved(run: RunDirectory, arm: str, other: RunDirectory, base: str) -> list[dict[str, Any]] | None:
    """Settings as the engines resolved them; None where one left no account."""
    mine, theirs = (server_file(r, a, "resolved.json") for r, a in ((run, arm), (other, base)))
    if not mine or not theirs:
        return None
    return [{"field": f, "against": b, "arm": a} for f, b, a in resolved_difference(theirs, mine)]


def _deciding(
    run: RunDirectory,
    experiment: Experiment,
    cells: Cells,
    rows: Sequence[Row],
    margin: float,
    arms: Sequence[str],
) -> dict[str, Any]:
    """Pairs, hours and dollars until a change of the margin would be found in cost, from measured blocks."""
    open_ = [row for row in rows if row.metric.key == "cost"] or list(rows)
    counts = [still_to_run(row) for row in open_]
    known = [count for count in counts if count is not None]
    if not known:
        return {"reason": "not known: no two valid pairs, or more than 10,000 pairs would be needed"}
    means = [_block_s(run, cells, arm) for arm in arms]
    hours = max(known) * sum(means) / 3600
    return {
        "effect": margin,
        "more_pairs": max(known),
        "more_pairs_as_seen": max(still_to_run(row, careful=False) or 0 for row in open_),
        "unknown_rows": len(counts) - len(known),
        "hours": hours,
        "usd": hours * experiment.price.usd_per_hour,
    }


def _block_s(run: RunDirectory, cells: Cells, arm: str) -> float:
    """Mean seconds of an arm's finished blocks: server start, then first idle page to last (or windows alone)."""
    lengths = []
    for block in run.plan().blocks:
        attempt = run.finished(block) if block.arm == arm else None
        if attempt is None:
            continue
        facts = json.loads((attempt.path / "block.json").read_text(encoding="utf-8"))
        edges = [_edges(attempt.cell(cell).facts) for cell in block.cells]
        ends = [end for pair in edges for end in pair]
        windows = sum(
            m["window_s"] for key, (m, _) in cells.items() if key[0] == arm and key[3] == block.repeat
        )
        lengths.append((facts.get("startup_s") or 0.0) + (max(ends) - min(ends) if ends else windows))
    return sum(lengths) / len(lengths) if lengths else 0.0


def _edges(path: Path) -> list[float]:
    try:
        edges = json.loads(path.read_text(encoding="utf-8")).get("edges", {})
    except (OSError, ValueError):
        return []
    return [edge["at_s"] for edge in edges.values()]


def _refuse_other_model(
    first: tuple[RunDirectory, Experiment], one: str, second: tuple[RunDirectory, Experiment], two: str
) -> None:
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


def _refuse_unmeasured(document: dict[str, Any], metrics: Sequence[Metric]) -> None:
    """With metrics that were asked for by name: one that no cell has is an error, not an empty table."""
    if len(metrics) == len(METRICS):
        return
    for metric in metrics:
        rows = [row for row in document["comparisons"] if row["metric"] == metric.key]
        if all(row["ratio"] is None for row in rows):
            why = next((text for row in rows for text in row["left_out"]), "the runs' SLOs differ")
            raise RunError(f"no usable {metric.title} in {document['run']}: {why}.")


def _check_arm(name: str, arms: list[str], path: Path) -> None:
    if name not in arms:
        raise ConfigError(
            f"{name!r} is no arm of {path}, and no run directory; its arms: {', '.join(arms)}.",
            hint=_near(name, arms),
        )


def _near(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"Did you mean {close[0]}?" if close else ""


def _choose(arms: list[str], against: str) -> str:
    others = [arm for arm in arms if arm != against]
    return f"Choose another arm: {', '.join(others)}." if others else ""


def not_shown(document: dict[str, Any]) -> list[str]:
    """Places where cost is not shown to stay below the margin: what `--fail-if dearer` fails for."""
    return [
        f"{row['arm']} on {row['workload']} at {row['streams']} streams: {row['margin']['reason']}"
        for row in document["comparisons"]
        if row["metric"] == "cost" and not row["margin"]["shown"]
    ]
