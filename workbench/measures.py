"""Requests and counters -> measures.json. No price in it, so a new price needs no GPU, a new SLO no load.

Throughput comes from the server's counters between the two edges of the steady window; latency from the
requests that were *sent* inside it; reconciliation from everything between the two idle pages.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import duckdb

from accounting import acceptance, latency, metric_names
from accounting.counters import CounterChange, CounterSample, difference
from accounting.errors import RunError
from accounting.missing import Measured, not_measured
from accounting.percentiles import percentile, sample_floor
from accounting.reconciliation import reconcile
from accounting.records import Phase, RequestRecord
from accounting.slo import Slo, attainment
from accounting.stated_tokens import tokens_between
from accounting.verdicts import POOLABLE, CellEvidence, judge
from loadtest.request_store import read_records
from serving.endpoints import MetricsPage
from serving.scrape import parse_page
from workbench.cell import IDLE_AFTER, IDLE_BEFORE, WINDOW_END, WINDOW_START
from workbench.experiment import Experiment
from workbench.plan import BlockPlan, CellPlan
from workbench.run_directory import BlockDirectory, CellDirectory, RunDirectory, write_json

PERCENTILES = (0.5, 0.95)
LATENCIES: dict[str, Callable[[RequestRecord], float | None]] = {
    "ttft_s": latency.ttft_s,
    "tpot_s": latency.tpot_s,
    "e2e_s": latency.e2e_s,
}


@dataclass(frozen=True)
class CellData:
    """A finished cell, read from its files. `window` is None where the server exposes no counters."""

    block: BlockPlan
    cell: CellPlan
    records: list[RequestRecord]
    in_window: list[RequestRecord]
    window_s: float
    window_edges_s: tuple[float, float]
    window_uncertainty_s: float
    window: CounterChange | None
    idle_to_idle: CounterChange | None
    caches_reset: bool
    cache_salted: bool
    metrics_error: str
    busy_share: float | None

    @property
    def key(self) -> tuple[str, str, int, int]:
        """Arm, workload, streams, repeat."""
        return self.block.arm, self.cell.workload, self.cell.streams, self.block.repeat


def read_cell(block: BlockPlan, cell: CellPlan, attempt: BlockDirectory) -> CellData:
    """Read one finished cell.

    Raises:
        RunError: if a file is missing or damaged.
    """
    directory = attempt.cell(cell)
    try:
        facts: dict[str, Any] = json.loads(directory.facts.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{directory.facts} cannot be read: {error}",
            hint=f"Remove {attempt.path} and run the block again with --resume.",
        ) from error
    records = read_records(directory.requests)
    if WINDOW_END not in facts["edges"]:
        raise RunError(f"{directory.facts} has no steady window: the cell did not finish.")
    start_s, end_s = (facts["edges"][name]["at_s"] for name in (WINDOW_START, WINDOW_END))
    window = idle = None
    uncertainty_s = 0.0
    if not facts["metrics_error"]:
        pages = {
            name: _page(directory, name, facts)
            for name in (IDLE_BEFORE, WINDOW_START, WINDOW_END, IDLE_AFTER)
        }
        window = difference(pages[WINDOW_START], pages[WINDOW_END])
        idle = difference(pages[IDLE_BEFORE], pages[IDLE_AFTER])
        uncertainty_s = window.uncertainty_s
    return CellData(
        block,
        cell,
        records,
        [r for r in records if _sent_inside(r, start_s, end_s)],
        end_s - start_s,
        (start_s, end_s),
        uncertainty_s,
        window,
        idle,
        facts["caches_reset"],
        facts.get("cache_salted", False),
        facts["metrics_error"],
        _busy_share(directory, start_s, end_s),
    )


def _page(directory: CellDirectory, name: str, facts: dict[str, Any]) -> CounterSample:
    edge = facts["edges"][name]
    try:
        text = directory.metrics_page(name).read_text(encoding="utf-8")
    except OSError as error:
        raise RunError(f"{directory.metrics_page(name)} cannot be read: {error}") from error
    at_s, uncertainty_s = edge["at_s"], edge["uncertainty_s"]
    return parse_page(MetricsPage(text, at_s - uncertainty_s, at_s + uncertainty_s))


def _sent_inside(record: RequestRecord, start_s: float, end_s: float) -> bool:
    return record.phase is Phase.MEASURED and start_s <= record.intended_send_s < end_s


def _busy_share(directory: CellDirectory, start_s: float, end_s: float) -> float | None:
    """Share of one-second samples inside the window with a request running (usage basis).

    A lower bound: vLLM moves this gauge when a step returns, so during the first prefill of an idle server it
    still reads 0.
    """
    if not directory.counters.exists():
        return None
    with duckdb.connect() as connection:
        row = connection.execute(
            "SELECT avg((value > 0)::DOUBLE) FROM read_parquet(?) WHERE name = ? AND at_s BETWEEN ? AND ?",
            [str(directory.counters), metric_names.REQUESTS_RUNNING, start_s, end_s],
        ).fetchone()
    return row[0] if row else None


def read_finished_cells(run: RunDirectory) -> list[CellData]:
    """Every cell of every finished block, in plan order."""
    cells = []
    for block in run.plan().blocks:
        attempt = run.finished(block)
        if attempt is not None:
            cells += [read_cell(block, cell, attempt) for cell in block.cells]
    return cells


def latency_summary(
    records: Sequence[RequestRecord], of: Callable[[RequestRecord], float | None]
) -> dict[str, Any]:
    """p50 and p95 in seconds, null with a reason where the sample cannot carry them."""
    samples = [value for record in records if (value := of(record)) is not None]
    quoted = summary(samples)
    if of is latency.tpot_s and not samples and _no_running_count(records):
        quoted["reason"] = "the server does not say how many tokens its events carry"
    return quoted


def _no_running_count(records: Sequence[RequestRecord]) -> bool:
    counts = [record.chunks.tokens for record in records if record.ok and len(record.chunks)]
    return bool(counts) and all((tokens < 0).all() for tokens in counts)


def summary(samples: Sequence[float]) -> dict[str, Any]:
    """p50 and p95 of samples, with the reason for a null."""
    quoted = {f"p{q * 100:g}": percentile(samples, q) for q in PERCENTILES}
    unquoted = [name for name, m in quoted.items() if m.reason]
    needs = " and ".join(f"{name} needs {sample_floor(float(name[1:]) / 100)}" for name in unquoted)
    return {name: m.value for name, m in quoted.items()} | {
        "samples": len(samples),
        "reason": f"{len(samples)} samples; {needs}" if unquoted else None,
    }


def measure_cell(data: CellData, experiment: Experiment, baseline: CellData | None) -> dict[str, Any]:
    """All measures of one cell, as plain values for measures.json."""
    slo = experiment.slo.to_slo()
    speed = _speed(data)
    reconciliation = _reconciliation(data, experiment.output.max_tokens)
    attained = attainment(data.in_window, slo)
    latencies = {name: latency_summary(data.in_window, of) for name, of in LATENCIES.items()}
    gaps = [gap for record in data.in_window for gap in latency.chunk_gaps_s(record)]
    drift = _length_drift(data, baseline)
    verdict = judge(_evidence(data, reconciliation, latencies, drift))
    arm, workload, streams, repeat = data.key
    return {
        "arm": arm,
        "workload": workload,
        "streams": streams,
        "repeat": repeat,
        "block": data.block.block_id,
        "requests": len(data.in_window),
        "failed": sum(not r.ok for r in data.in_window),
        "window_s": data.window_s,
        "window_uncertainty_s": data.window_uncertainty_s,
        **speed,
        **latencies,
        "chunk_gap_s": summary(gaps),
        "censored_chunk_share": latency.censored_share(data.in_window),
        "send_lag_s": summary([lag for r in data.in_window if (lag := latency.send_lag_s(r)) is not None]),
        "slo_attainment": _plain(attained.requests),
        "slo_token_share": _plain(attained.tokens),
        "length_drift": drift,
        "busy_share": data.busy_share,
        "caches_reset": data.caches_reset,
        "cache_salted": data.cache_salted,
        "reconciled": reconciliation["reconciled"],
        "reconciliation": reconciliation,
        "verdict": {"throughput": str(verdict.throughput), "tails": str(verdict.tails)},
        "reason": verdict.reason or None,
    }


def _plain(value: Measured) -> dict[str, Any]:
    return {"value": value.value, "reason": value.reason or None}


def _speed(data: CellData) -> dict[str, Any]:
    """What the counters say of the window."""
    change = data.window
    if change is None or change.reset:
        reason = data.metrics_error or f"counters were reset: {', '.join(change.reset if change else ())}"
        nothing = _plain(not_measured(reason))
        # A server that restarted in between lost answers too: only one that never had counters is counted by usage.
        stated = tokens_between(data.records, *data.window_edges_s) if change is None else None
        return {
            "output_tokens": None if stated is None else round(stated),
            "token_source": "usage",
            "prompt_tokens": None,
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
        "output_tokens_per_s": output / data.window_s,
        "acceptance_length": _plain(acceptance.acceptance_length(change)),
        "acceptance_rate": _plain(acceptance.acceptance_rate(change)),
        "tokens_per_step": _plain(acceptance.tokens_per_step(change)),
        "acceptance_by_position": acceptance.acceptance_by_position(change),
        "drafts": round(change.increase(metric_names.DRAFTS)) if change.has(metric_names.DRAFTS) else None,
        "prefix_cache_hit_share": hits / queries if queries else None,
        "preemptions": round(change.increase(metric_names.PREEMPTIONS)),
    }


def _reconciliation(data: CellData, max_tokens: int) -> dict[str, Any]:
    change = data.idle_to_idle
    if change is None:
        return {
            "reconciled": False,
            "reason": f"tokens by the answers' usage alone, not reconciled: {data.metrics_error}",
        }
    if change.reset:
        return {"reconciled": False, "reason": f"counters were reset: {', '.join(change.reset)}"}
    return asdict(reconcile(data.records, change, max_output_tokens=max_tokens))


def _length_drift(data: CellData, baseline: CellData | None) -> float | None:
    """Mean answer length against the baseline's on the same prompts, as a share; None without common ones."""
    if baseline is None or baseline is data:
        return None
    own, other = (
        {r.prompt_id: r.completion_tokens for r in cell.records if r.ok and r.phase is Phase.MEASURED}
        for cell in (data, baseline)
    )
    common = [p for p in own if own[p] and other.get(p)]
    if not common:
        return None
    return sum(own[p] or 0 for p in common) / sum(other[p] or 0 for p in common) - 1.0


def _evidence(
    data: CellData, reconciliation: dict[str, Any], latencies: dict[str, dict[str, Any]], drift: float | None
) -> CellEvidence:
    start_s, end_s = data.window_edges_s
    lags = [lag for r in data.in_window if (lag := latency.send_lag_s(r)) is not None]
    ttft = latencies["ttft_s"]
    return CellEvidence(
        window_s=data.window_s,
        streams=data.cell.streams,
        completions=sum(r.ok and start_s <= r.end_s < end_s for r in data.records),
        requests=len(data.in_window),
        failed=sum(not r.ok for r in data.in_window),
        reconciled=reconciliation["reconciled"],
        reconciliation_reason=reconciliation["reason"],
        caches_reset=data.caches_reset or data.cache_salted,
        repeated_prompts=sum(r.prompt_repeat > 0 for r in data.in_window),
        median_send_lag_s=median(lags) if lags else None,
        length_drift=drift,
        p95_reason="" if ttft["p95"] is not None else (ttft["reason"] or ""),
    )


def pool(cells: Sequence[CellData], slo: Slo) -> list[dict[str, Any]]:
    """Latency, acceptance and attainment pooled over the repeats of (arm, workload, streams).

    Give only cells that may be pooled (`accounting.verdicts.POOLABLE`).
    """
    groups: dict[tuple[str, str, int], list[CellData]] = {}
    for cell in cells:
        groups.setdefault(cell.key[:3], []).append(cell)
    return [_pooled(key, members, slo) for key, members in groups.items()]


def _pooled(key: tuple[str, str, int], members: list[CellData], slo: Slo) -> dict[str, Any]:
    records = [record for member in members for record in member.in_window]
    attained = attainment(records, slo)
    changes = [m.window for m in members if m.window is not None and not m.window.reset]
    unknown = members[0].metrics_error or "counters were reset in every repeat"
    whole = CounterChange(
        duration_s=sum(c.duration_s for c in changes),
        uncertainty_s=0.0,
        increases={
            name: sum(c.increases.get(name, 0.0) for c in changes) for c in changes for name in c.increases
        },
    )
    return {
        "arm": key[0],
        "workload": key[1],
        "streams": key[2],
        "repeats": len(members),
        "requests": len(records),
        "failed": sum(not r.ok for r in records),
        **{name: latency_summary(records, of) for name, of in LATENCIES.items()},
        "slo_attainment": _plain(attained.requests),
        "slo_token_share": _plain(attained.tokens),
        **{
            of.__name__: _plain(of(whole) if changes else not_measured(unknown))
            for of in (acceptance.acceptance_length, acceptance.acceptance_rate, acceptance.tokens_per_step)
        },
        "acceptance_by_position": acceptance.acceptance_by_position(whole),
    }


def write_measures(run: RunDirectory, experiment: Experiment) -> list[CellData]:
    """Measure every finished cell into measures.json; returns the cells that may be pooled."""
    cells = read_finished_cells(run)
    by_key = {cell.key: cell for cell in cells}
    measured = []
    for cell in cells:
        _, workload, streams, repeat = cell.key
        baseline = by_key.get((experiment.baseline_arm, workload, streams, repeat))
        measured.append(measure_cell(cell, experiment, baseline))
    poolable = [
        cell for cell, m in zip(cells, measured, strict=True) if m["verdict"]["throughput"] in POOLABLE
    ]
    write_json(
        run.path / "measures.json",
        {"cells": measured, "pooled": pool(poolable, experiment.slo.to_slo())},
    )
    return poolable
