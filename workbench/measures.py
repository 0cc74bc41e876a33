"""Requests and counters -> measures.json. No price in it, so a new price needs no GPU, a new SLO no load.

Throughput comes from the server's counters between the two edges of the steady window; latency from the
requests that were *sent* inside it; reconciliation from everything between the two idle pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from accounting import acceptance, metric_names
from accounting.counters import CounterChange
from accounting.evidence import WindowFindings, plain_findings
from accounting.latency_columns import lags_s
from accounting.load_summary import send_lags_s
from accounting.missing import not_measured
from accounting.percentiles import quoted
from accounting.reconciliation import reconcile
from accounting.record_columns import UNKNOWN, RecordColumns
from accounting.request_means import request_means
from accounting.slo import attainment
from accounting.stated_tokens import tokens_between
from accounting.verdicts import POOLABLE, CellEvidence, judge
from workbench.capacity_confirmed import confirmations, mark_floor_missed
from workbench.cell_data import CellData, looked_at, read_cell, read_finished_cells
from workbench.energy_measures import energy_measures, output_tokens_of
from workbench.experiment import Experiment
from workbench.latency_summaries import latency_summaries, plain
from workbench.pooled_measures import pool
from workbench.run_directory import RunDirectory, write_json
from workbench.server_lives import with_answer_memory

__all__ = ["CellData", "measure_cell", "read_cell", "write_measures"]


def measure_cell(data: CellData, experiment: Experiment, baseline: CellData | None) -> dict[str, Any]:
    """All measures of one cell, as plain values for measures.json."""
    counters, reconciliation = window_counters(data), reconciled_counts(data, experiment.output.max_tokens)
    attained = attainment(data.in_window, experiment.slo.to_slo())
    latencies = latency_summaries([data])
    drift = _length_drift(data, baseline)
    means = request_means(data.in_window)
    found = data.found
    verdict = judge(_evidence(data, found, reconciliation, latencies["ttft_s"], drift))
    arm, workload, load, repeat = data.key
    return {
        "arm": arm,
        "workload": workload,
        "load": load,
        "streams": data.cell.streams,
        "rate_per_s": data.cell.rate_per_s,
        "repeat": repeat,
        "block": data.block.block_id,
        "requests": len(data.in_window),
        "failed": int((~data.in_window.ok).sum()),
        "window_s": data.window_s,
        "window_uncertainty_s": data.window_uncertainty_s,
        **counters,
        "request_means": asdict(means) if means else None,
        **latencies,
        "clock": found.client.clock,
        "censored_chunk_share": found.client.censored_share,
        "client_lag_s": quoted(lags_s(found.timed)),
        "send_lag_s": quoted(send_lags_s(data.in_window)),
        "slo_attainment": plain(attained.requests),
        "slo_token_share": plain(attained.tokens),
        "length_drift": drift,
        "busy_share": data.busy_share,
        "caches_reset": data.caches_reset,
        "cache_salted": data.cache_salted,
        "energy": energy_measures(data.energy, output_tokens_of(counters, reconciliation)),
        "reconciled": reconciliation["reconciled"],
        "reconciliation": reconciliation,
        "findings": plain_findings(found),
        "verdict": {
            "throughput": str(verdict.throughput),
            "tails": str(verdict.tails),
            "acceptance": None if verdict.acceptance is None else str(verdict.acceptance),
        },
        "reason": verdict.reason or None,
    }


def _evidence(
    data: CellData,
    found: WindowFindings,
    reconciliation: dict[str, Any],
    ttft: dict[str, Any],
    length_drift: float | None,
) -> CellEvidence:
    """What the records showed, and what only the cell's other files know."""
    change = data.window
    counted = change is not None and not change.reset and change.has(metric_names.DRAFTS)
    return replace(
        found.evidence,
        reconciled=reconciliation["reconciled"],
        reconciliation_reason=reconciliation["reason"],
        caches_reset=data.caches_reset or data.cache_salted,
        length_drift=length_drift,
        drafts=change.increase(metric_names.DRAFTS) if change is not None and counted else None,
        p95_reason="" if ttft["p95"] is not None else (ttft["reason"] or ""),
    )


def window_counters(data: CellData) -> dict[str, Any]:
    """What the counters say of the window."""
    change = data.window
    if change is None or change.reset:
        reason = data.metrics_error or f"counters were reset: {', '.join(change.reset if change else ())}"
        nothing = plain(not_measured(reason))
        # A server that restarted in between lost answers too: only one that never had counters is counted by usage.
        stated = tokens_between(data.records, *data.window_edges_s) if change is None else None
        return {
            "output_tokens": None if stated is None else round(stated),
            "token_source": "usage",
            "prompt_tokens": None,
            "cached_prompt_tokens": None,
            "engine_steps": None,
            "decode_steps": None,
            "draft_tokens": None,
            "output_tokens_per_s": None if stated is None else stated / data.window_s,
            "acceptance_length": nothing,
            "acceptance_rate": nothing,
            "tokens_per_step": nothing,
            "acceptance_by_position": [],
            "drafts": None,
            "prefix_cache_hit_share": None,
            "preemptions": None,
        }
    output = change.increase(metric_names.GENERATION_TOKENS)
    queries = change.increase(metric_names.PREFIX_CACHE_QUERIES)
    hits = change.increase(metric_names.PREFIX_CACHE_HITS)
    return {
        "output_tokens": round(output),
        "token_source": "counters",
        "prompt_tokens": round(change.increase(metric_names.PROMPT_TOKENS)),
        "cached_prompt_tokens": _counted(change, metric_names.CACHED_PROMPT_TOKENS),
        "engine_steps": _counted(change, metric_names.ENGINE_STEPS),
        "decode_steps": _counted(change, metric_names.DECODE_STEPS),
        "draft_tokens": _counted(change, metric_names.DRAFT_TOKENS),
        "output_tokens_per_s": output / data.window_s,
        "acceptance_length": plain(acceptance.acceptance_length(change)),
        "acceptance_rate": plain(acceptance.acceptance_rate(change)),
        "tokens_per_step": plain(acceptance.tokens_per_step(change)),
        "acceptance_by_position": acceptance.acceptance_by_position(change),
        "drafts": _counted(change, metric_names.DRAFTS),
        "prefix_cache_hit_share": hits / queries if queries else None,
        "preemptions": round(change.increase(metric_names.PREEMPTIONS)),
    }


def _counted(change: CounterChange, name: str) -> int | None:
    """Increase of a counter that a server need not have; None where it has none."""
    return round(change.increase(name)) if change.has(name) else None


def reconciled_counts(data: CellData, max_tokens: int) -> dict[str, Any]:
    change = data.idle_to_idle
    if change is None:
        return {
            "reconciled": False,
            "reason": f"tokens by the answers' usage alone, not reconciled: {data.metrics_error}",
        }
    if change.reset:
        return {"reconciled": False, "reason": f"counters were reset: {', '.join(change.reset)}"}
    return asdict(reconcile(data.records, change, max_output_tokens=max_tokens))


def _sum_of(lengths: dict[str, int], prompts: set[str]) -> int:
    return sum(lengths.values() if len(prompts) == len(lengths) else map(lengths.__getitem__, prompts))


def _length_drift(data: CellData, baseline: CellData | None) -> float | None:
    """Mean answer length against the baseline's on the same prompts, as a share; None without common ones."""
    if baseline is None or baseline is data:
        return None
    own, other = (_lengths(cell.records) for cell in (data, baseline))
    common = own.keys() & other.keys()
    if not common:
        return None
    return _sum_of(own, common) / _sum_of(other, common) - 1.0


def _lengths(records: RecordColumns) -> dict[str, int]:
    """Tokens of each measured prompt's last answer, where it said how many and had any."""
    fit = records.ok & records.measured
    counts = records.completion_tokens[fit].tolist()
    lengths = dict(zip(records.prompt_id[fit].tolist(), counts, strict=True))
    if min(counts, default=1) > 0:
        return lengths
    return {prompt: tokens for prompt, tokens in lengths.items() if tokens not in (0, UNKNOWN)}


def measured_cells(run: RunDirectory, experiment: Experiment) -> list[dict[str, Any]]:
    """The measures of every finished cell, in plan order; nothing is written."""
    return _measured(_read(run), experiment)


def _read(run: RunDirectory) -> Sequence[CellData]:
    """Every finished cell, judged also by what its server remembered, and looked at."""
    return looked_at(with_answer_memory(read_finished_cells(run)))


def _measured(cells: Sequence[CellData], experiment: Experiment) -> list[dict[str, Any]]:
    by_key = {cell.key: cell for cell in cells}
    measured = []
    for cell in cells:
        _, workload, load, repeat = cell.key
        baseline = by_key.get((experiment.baseline_arm, workload, load, repeat))
        measured.append(measure_cell(cell, experiment, baseline))
    return measured


def write_measures(run: RunDirectory, experiment: Experiment, counted: Sequence[int]) -> list[CellData]:
    """Measure every finished cell into measures.json; returns the cells that may be pooled.

    `counted`: the repeats that are compared; a pilot's cells are measured, never pooled.
    """
    cells = _read(run)
    measured = _measured(cells, experiment)
    poolable = [
        cell
        for cell, m in zip(cells, measured, strict=True)
        if m["verdict"]["throughput"] in POOLABLE and m["repeat"] in counted
    ]
    pooled = pool(poolable, experiment.slo.to_slo())
    floor = experiment.slo.attainment_floor
    confirmed = confirmations(measured, floor, counted)
    mark_floor_missed(measured, confirmed, floor)
    document = {"cells": measured, "pooled": pooled, "confirmed": confirmed}
    write_json(run.path / "measures.json", document)
    return poolable
