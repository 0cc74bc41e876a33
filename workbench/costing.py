"""Measures x price -> cost.json, and cost.json -> comparison.json. Needs no server and no load."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from accounting.comparison import compare_costs
from accounting.cost import slo_cost, usd_per_1k_tokens
from accounting.missing import Measured, not_measured
from accounting.prices import Price
from accounting.verdicts import Verdict
from workbench.compared_arms import Cells, cells_by_key
from workbench.experiment import Experiment
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
        **{key: cell[key] for key in ("arm", "workload", "streams", "repeat", "block")},
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


def write_comparison(run: RunDirectory, experiment: Experiment) -> list[dict[str, Any]]:
    """Compare every arm with the baseline, pair by pair, into comparison.json."""
    measured = run.read_json("measures.json")["cells"]
    costs = run.read_json("cost.json")["cells"]
    by_key = cells_by_key(measured, costs)
    rows = [
        _compare(experiment, by_key, arm, workload, streams)
        for arm in experiment.arms
        if arm != experiment.baseline_arm
        for workload in experiment.workloads
        for streams in experiment.loads.streams
    ]
    write_json(run.path / "comparison.json", {"baseline": experiment.baseline_arm, "comparisons": rows})
    return rows


def _compare(
    experiment: Experiment,
    by_key: Cells,
    arm: str,
    workload: str,
    streams: int,
) -> dict[str, Any]:
    ratios, left_out = [], []
    for repeat in range(1, experiment.repeats + 1):
        pair = [by_key.get((a, workload, streams, repeat)) for a in (arm, experiment.baseline_arm)]
        if None in pair:
            continue
        (own, own_cost), (base, base_cost) = (p for p in pair if p is not None)
        unfit = [c for c in (own, base) if c["verdict"]["throughput"] != Verdict.VALID]
        if unfit:
            left_out.append(f"repeat {repeat}: {unfit[0]['arm']} is {unfit[0]['verdict']['throughput']}")
            continue
        ratios.append(own_cost["usd_per_1k_output_tokens"] / base_cost["usd_per_1k_output_tokens"])
    compared = compare_costs(ratios, family=max(1, len(experiment.arms) - 1))
    return {
        "arm": arm,
        "workload": workload,
        "streams": streams,
        "cost_ratio": compared.ratio,
        "speedup": None if compared.ratio is None else 1.0 / compared.ratio,
        "pair_ratios": list(compared.pair_ratios),
        "interval": compared.interval,
        "word": str(compared.word),
        "reason": "; ".join(filter(None, [compared.reason, *left_out])) or None,
    }
