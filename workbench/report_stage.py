"""Everything measured -> report.html: collects what the report shows, from the run's files."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accounting.cost import slo_cost, usd_per_1k_tokens
from accounting.missing import Measured, not_measured
from accounting.prices import Price
from accounting.verdicts import POOLABLE
from dashboards import report_data as shown
from dashboards.report import render_report
from serving.resolved import resolved_difference
from workbench.capacity_shown import report_searches
from workbench.energy_shown import energy_lines
from workbench.engine_warnings import engine_warnings, server_file
from workbench.experiment import Experiment
from workbench.headline import headline, notice
from workbench.latency_summaries import pooled_samples
from workbench.losslessness_rows import losslessness_rows
from workbench.measures import CellData
from workbench.pair_count import counted_repeats, fixed_pairs, wanted_blocks
from workbench.provenance import machine_sentence
from workbench.quality.beside_arms import quality_rows
from workbench.quality.shown import report_qualities
from workbench.run_directory import RunDirectory

Row = dict[str, Any]


def write_report(run: RunDirectory, experiment: Experiment, cells: Sequence[CellData]) -> Path:
    """Render the report and return its path. The files of earlier stages must be there."""
    path = run.path / "report.html"
    partial = path.with_suffix(".partial")
    partial.write_text(render_report(collect(run, experiment, cells)), encoding="utf-8")
    partial.replace(path)
    return path


def collect(run: RunDirectory, experiment: Experiment, cells: Sequence[CellData]) -> shown.ReportData:
    """Everything the report shows, as its input contract."""
    measures = run.read_json("measures.json")
    costs = run.read_json("cost.json")["cells"]
    comparison = run.read_json("comparison.json")
    provenance = run.read_json("provenance.json")
    price = experiment.price.to_price()
    resolved = _resolved(run, experiment)
    lossless = losslessness_rows(run, experiment)
    counted = counted_repeats(run, experiment)
    compared = [m for m in measures["cells"] if m["repeat"] in counted]
    return shown.ReportData(
        title=experiment.name,
        description=experiment.question,
        created_at=str(provenance.get("started_at", "")),
        headline=headline(comparison["comparisons"], comparison["baseline"], lossless),
        notice=notice(comparison["comparisons"]),
        price=shown.Price(price.usd_per_hour, price.source, price.as_of.isoformat()),
        slo=shown.Slo(experiment.slo.ttft_s, experiment.slo.tpot_s, experiment.slo.attainment_floor),
        baseline=experiment.baseline_arm,
        arms=list(experiment.arms),
        workloads=list(experiment.workloads),
        loads=[shown.Load(level.label, level.kind, level.value) for level in experiment.loads.levels],
        groups=[_group(pooled, compared, cells, price) for pooled in measures["pooled"]],
        cells=[_cell(m, c) for m, c in zip(measures["cells"], costs, strict=True)],
        comparisons=[_comparison(row) for row in comparison["comparisons"]],
        resolved_differences=_differences(resolved, experiment.baseline_arm),
        searches=report_searches(comparison["capacities"], price),
        qualities=report_qualities(quality_rows(run, experiment)),
        losslessness=[shown.Losslessness(**row) for row in lossless],
        provenance=_provenance(provenance),
        commands=_commands(run, experiment),
        notes=[*_notes(run, experiment), *energy_lines(measures["cells"])],
    )


def _group(pooled: Row, measured: Sequence[Row], cells: Sequence[CellData], price: Price) -> shown.Group:
    key = (pooled["arm"], pooled["workload"], pooled["load"])
    members = [m for m in measured if (m["arm"], m["workload"], m["load"]) == key]
    raw, per_s = _pooled_cost(members, price)
    share = pooled["slo_token_share"]
    within = slo_cost(raw, Measured(share["value"], share["reason"] or ""))
    values = {
        "output_tokens_per_s": per_s,
        "usd_per_1k_output_tokens": raw,
        "usd_per_1k_slo_output_tokens": within,
        **{
            name: Measured(pooled[name]["value"], pooled[name]["reason"] or "")
            for name in ("slo_attainment", "acceptance_length", "acceptance_rate", "tokens_per_step")
        },
        **{
            f"{short}_{quantile}_s": _quoted(pooled[f"{short}_s"], quantile)
            for short in ("ttft", "tpot")
            for quantile in ("p50", "p95")
        },
    }
    samples = pooled_samples([cell for cell in cells if cell.key[:3] == key])
    statistics: dict[str, Any] = {name: value.value for name, value in values.items()}
    return shown.Group(
        arm=pooled["arm"],
        workload=pooled["workload"],
        load=pooled["load"],
        at=_at(members[0]) if members else None,
        **statistics,
        requests=pooled["requests"],
        failed=pooled["failed"],
        acceptance_by_position=pooled["acceptance_by_position"],
        samples=shown.Samples(**{f"{name}_s": values for name, values in samples.items()}),
        reasons={name: value.reason for name, value in values.items() if value.reason},
    )


def _pooled_cost(members: Sequence[Row], price: Price) -> tuple[Measured, Measured]:
    """Cost and speed over the repeats that may be pooled: whole time over whole tokens."""
    fit = [m for m in members if m["verdict"]["throughput"] in POOLABLE and m["output_tokens"] is not None]
    if not fit:
        nothing = not_measured(members[0]["reconciliation"]["reason"] if members else "no finished cell")
        return nothing, nothing
    window_s = sum(m["window_s"] for m in fit)
    tokens = sum(m["output_tokens"] for m in fit)
    return usd_per_1k_tokens(price, window_s, tokens), Measured(tokens / window_s)


def _quoted(summary: Row, quantile: str) -> Measured:
    value = summary[quantile]
    return Measured(value, "" if value is not None else summary["reason"] or "no sample")


def _cell(m: Row, c: Row) -> shown.Cell:
    return shown.Cell(
        arm=m["arm"],
        workload=m["workload"],
        load=m["load"],
        at=_at(m),
        repeat=m["repeat"],
        output_tokens=m["output_tokens"],
        window_s=m["window_s"],
        output_tokens_per_s=m["output_tokens_per_s"],
        usd_per_1k_output_tokens=c["usd_per_1k_output_tokens"],
        usd_per_1k_slo_output_tokens=c["usd_per_1k_slo_output_tokens"],
        requests=m["requests"],
        failed=m["failed"],
        reconciled=m["reconciled"],
        verdict_throughput=m["verdict"]["throughput"],
        verdict_tails=m["verdict"]["tails"],
        reason="; ".join(filter(None, [m["reason"], c["reason"]])),
    )


def _comparison(row: Row) -> shown.Comparison:
    return shown.Comparison(
        arm=row["arm"],
        workload=row["workload"],
        load=row["load"],
        metric=row["title"],
        cost_ratio=row["cost_ratio"],
        speedup=row["speedup"],
        pair_ratios=row["pair_ratios"],
        interval=_pair(row["interval"]),
        word=row["word"],
        reason=row["reason"] or "",
        latencies=[
            shown.LatencyRatio(one["title"], one["ratio"], _pair(one["interval"]), one["word"])
            for one in row["latencies"]
        ],
    )


def _at(measured: Row) -> float | None:
    """The load in numbers: streams or offered requests per second."""
    value = measured["streams"] if measured["streams"] is not None else measured["rate_per_s"]
    return None if value is None else float(value)


def _pair(interval: Sequence[float] | None) -> tuple[float, float] | None:
    return None if interval is None else (interval[0], interval[1])


def _resolved(run: RunDirectory, experiment: Experiment) -> dict[str, dict[str, Any]]:
    """What each arm's engine resolved, from its first finished block."""
    return {arm: facts for arm in experiment.arms if (facts := server_file(run, arm, "resolved.json"))}


def _differences(resolved: dict[str, dict[str, Any]], baseline: str) -> list[shown.ResolvedDifference]:
    base = resolved.get(baseline)
    if base is None:
        return []
    return [
        shown.ResolvedDifference(arm, field, json.dumps(before), json.dumps(after))
        for arm, facts in resolved.items()
        if arm != baseline
        for field, before, after in resolved_difference(base, facts)
    ]


def _provenance(facts: Row) -> list[tuple[str, str]]:
    git = facts.get("git")
    rows = [
        ("machine", machine_sentence(facts["hardware"])),
        ("kernel", facts["hardware"]["kernel"]),
        ("started", facts["started_at"]),
        ("command", shlex.join(facts["command"])),
        ("latency clock", facts["clock"]["latency"]),
        *((name, version) for name, version in facts["versions"].items() if version),
    ]
    if git:
        changed = " with uncommitted changes" if git["uncommitted_changes"] else ""
        rows.append(("git commit", f"{git['commit']}{changed}"))
    return [(label, str(value)) for label, value in rows]


def _commands(run: RunDirectory, experiment: Experiment) -> list[tuple[str, str]]:
    commands = []
    for arm in experiment.arms:
        facts = server_file(run, arm, "command.json")
        if "argv" in facts:
            variables = [f"{key}={shlex.quote(value)}" for key, value in sorted(facts["environment"].items())]
            commands.append((arm, " ".join([*variables, shlex.join(facts["argv"])])))
        elif facts:
            commands.append((arm, f"attached to {facts['base_url']}"))
    return commands


def _notes(run: RunDirectory, experiment: Experiment) -> list[str]:
    notes = []
    configs = experiment.arm_configs(origin=str(run.path))
    if any(getattr(getattr(c, "engine", None), "device", "") == "fake" for c in configs.values()):
        notes.append("A fake server stood in for the engine: these numbers say nothing about any model.")
    plan = run.plan()
    planned = (*wanted_blocks(run, experiment), *plan.lossless)
    unfinished = [block.block_id for block in planned if run.finished(block) is None]
    if unfinished:
        notes.append(f"Not finished and left out: {', '.join(unfinished)}.")
    if (fixed := fixed_pairs(run)) is not None:
        notes.append(f"Pairs: {fixed['sentence']}.")
    retried = [b.block_id for b in (*plan.blocks, *plan.lossless) if len(run.attempts(b)) > 1]
    if retried:
        notes.append(f"Run more than once, earlier attempts are on record: {', '.join(retried)}.")
    notes += [warning.sentence for warning in engine_warnings(run, experiment)]
    return notes
