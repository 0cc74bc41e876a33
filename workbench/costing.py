"""Measures x price -> cost.json, and cost.json -> comparison.json. Needs no server and no load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from accounting.comparison import Comparison
from accounting.cost import slo_cost, usd_per_1k_tokens
from accounting.missing import Measured, not_measured
from accounting.prices import Price
from workbench.capacity_confirmed import capacities
from workbench.compare_metrics import BY_CONSTRUCTION, EQUAL_BY_CONSTRUCTION, METRICS, cost_metric
from workbench.compared_arms import Cells, Question, cells_by_key, paired_row
from workbench.experiment import Experiment
from workbench.loads import Level, load_of
from workbench.run_directory import RunDirectory, write_json

Cell = dict[str, Any]


def price_cell(cell: Cell, price: Price) -> Cell:
    """Cost of one cell. Withheld, with the reason, where the two counts of tokens do not agree.

    Where there is one count only (a server without counters) the cost is given and marked unreconciled.
    """
    raw = _raw_cost(cell, price)
    share = cell["slo_token_share"]
    within_slo = slo_cost(raw, Measured(share["value"], share["reason"] or ""))
    return {
        **{key: cell[key] for key in ("arm", "workload", "repeat", "block")},
        "load": load_of(cell),
        "usd_per_1k_output_tokens": raw.value,
        "usd_per_1m_output_tokens": None if raw.value is None else raw.value * 1000,
        "usd_per_1k_slo_output_tokens": within_slo.value,
        "usd_per_1m_slo_output_tokens": None if within_slo.value is None else within_slo.value * 1000,
        "usd_of_window": price.usd_per_s * cell["window_s"],
        "reason": "; ".join(dict.fromkeys(m.reason for m in (raw, within_slo) if m.reason)) or None,
    }


def _raw_cost(cell: Cell, price: Price) -> Measured:
    if not cell["reconciled"] and cell["token_source"] == "counters":
        return not_measured(f"withheld: {cell['reconciliation']['reason']}")
    if cell["output_tokens"] is None:
        return not_measured(cell["reconciliation"]["reason"] or "no output tokens were counted")
    return usd_per_1k_tokens(price, cell["window_s"], cell["output_tokens"])


def write_cost(run: RunDirectory, price: Price) -> list[Cell]:
    """Price every measured cell into cost.json."""
    costs = [price_cell(cell, price) for cell in run.read_json("measures.json")["cells"]]
    write_json(run.path / "cost.json", {"price": asdict(price), "cells": costs})
    return costs


def write_comparison(
    run: RunDirectory, experiment: Experiment, counted: Sequence[int]
) -> list[dict[str, Any]]:
    """Compare every arm with the baseline, pair by pair, into comparison.json; `counted` are the repeats that count.

    At equal streams by cost; at each arm's capacity by the cost of tokens within the SLO; at a fixed offered rate by
    latency, because there every arm that keeps up costs the same.
    """
    measures = run.read_json("measures.json")
    cells = cells_by_key(measures["cells"], run.read_json("cost.json")["cells"])
    question = Question(0.0, max(1, len(experiment.arms) - 1), counted)
    rows = [
        _compared(cells, (arm, experiment.baseline_arm), (workload, level), question)
        for arm in experiment.arms
        if arm != experiment.baseline_arm
        for workload in experiment.workloads
        for level in experiment.loads.levels
    ]
    document = {
        "baseline": experiment.baseline_arm,
        "comparisons": rows,
        "capacities": capacities(run, measures["confirmed"]),
    }
    write_json(run.path / "comparison.json", document)
    return rows


def _compared(
    cells: Cells, pair: tuple[str, str], place: tuple[str, Level], question: Question
) -> dict[str, Any]:
    workload, level = place
    metric = METRICS[cost_metric(level.label)]
    row = paired_row(cells, metric, pair, (workload, level.label), question)
    found = row.found
    assert isinstance(found, Comparison)
    fixed = level.kind == "rate" and level.value is not None
    equal = fixed and row.kept_up  # of an arm that fell behind nothing is equal
    return {
        "arm": pair[0],
        "workload": workload,
        "load": level.label,
        "streams": None if level.value is None or level.kind == "rate" else round(level.value),
        "metric": metric.key,
        "title": metric.title,
        "cost_ratio": found.ratio,
        "speedup": None if found.ratio is None else 1.0 / found.ratio,
        "pair_ratios": list(found.pair_ratios),
        "interval": None if fixed else found.interval,
        "word": EQUAL_BY_CONSTRUCTION if equal else str(found.word),
        "latencies": _latencies(cells, pair, (workload, level.label), question) if fixed else [],
        "reason": "; ".join(filter(None, [BY_CONSTRUCTION if equal else found.reason, *row.left_out]))
        or None,
    }


def _latencies(
    cells: Cells, pair: tuple[str, str], place: tuple[str, str], question: Question
) -> list[dict[str, Any]]:
    """What is compared at a fixed offered rate: latency, where arrivals are equal."""
    rows = [
        paired_row(cells, METRICS[key], pair, place, question) for key in METRICS if METRICS[key].quantile
    ]
    return [
        {
            "metric": row.metric.key,
            "title": row.metric.title,
            "ratio": row.found.ratio,
            "interval": row.found.interval,
            "word": row.word,
            "reason": "; ".join(filter(None, [row.found.reason, *row.left_out])) or None,
        }
        for row in rows
    ]
