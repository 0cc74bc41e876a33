"""A run's results as one JSON document, and as the table that a person reads."""

from __future__ import annotations

import itertools
import math
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from accounting.percentiles import sample_floor
from accounting.verdicts import Verdict
from workbench.capacity_confirmed import capacity_sentence
from workbench.energy_measures import older_run
from workbench.energy_shown import energy_lines
from workbench.engine_warnings import engine_warnings
from workbench.experiment import Experiment
from workbench.headline import direction, headline, notice
from workbench.loads import CAPACITY, level_label
from workbench.losslessness_rows import losslessness_rows
from workbench.losslessness_shown import losslessness_lines
from workbench.pair_count import fixed_pairs, wanted_blocks
from workbench.quality.beside_arms import quality_rows
from workbench.quality.shown import quality_lines
from workbench.run_directory import RunDirectory
from workbench.titled_table import titled_table

Cell = dict[str, Any]
DASH = "–"


def results(run: RunDirectory, experiment: Experiment) -> dict[str, Any]:
    """The document of `show --json`: cells, arms, comparisons, price, SLO."""
    measures = run.read_json("measures.json")
    costs = run.read_json("cost.json")
    comparison = run.read_json("comparison.json")
    planned = (*wanted_blocks(run, experiment), *run.plan().lossless)
    unfinished = [block.block_id for block in planned if run.finished(block) is None]
    lossless = losslessness_rows(run, experiment)
    return {
        "run": str(run.path),
        "name": experiment.name,
        "complete": not unfinished,
        "unfinished_blocks": unfinished,
        "headline": headline(comparison["comparisons"], comparison["baseline"], lossless),
        "notice": notice(comparison["comparisons"]),
        "price": costs["price"],
        "slo": experiment.slo.model_dump(),
        "baseline": comparison["baseline"],
        "pairs": fixed_pairs(run),
        "capacities": comparison.get("capacities", []),
        "quality": quality_rows(run, experiment),
        "losslessness": lossless,
        "warnings": [warning.sentence for warning in engine_warnings(run, experiment)],
        "cells": [
            _cell(measured, cost) for measured, cost in zip(measures["cells"], costs["cells"], strict=True)
        ],
        "arms": {
            arm: {
                "declared": experiment.arms[arm],
                "pooled": [p for p in measures["pooled"] if p["arm"] == arm],
                "against_baseline": [c for c in comparison["comparisons"] if c["arm"] == arm],
            }
            for arm in experiment.arms
        },
    }


def _cell(measured: Cell, cost: Cell) -> Cell:
    """One cell with the public keys; a value that the sample cannot carry is null with a reason."""
    reasons = [
        measured["reason"],
        cost["reason"],
        *(
            f"{name}: {measured[name]['reason']}"
            for name in ("acceptance_length", "tokens_per_step")
            if measured[name]["reason"]
        ),
    ]
    keys = (
        "arm", "workload", "load", "streams", "rate_per_s", "repeat", "block", "requests", "failed", "output_tokens",
        "token_source", "prompt_tokens", "window_s", "output_tokens_per_s",
    )  # fmt: skip
    return {
        **{key: measured[key] for key in keys},
        "usd_per_1k_output_tokens": cost["usd_per_1k_output_tokens"],
        "usd_per_1k_slo_output_tokens": cost["usd_per_1k_slo_output_tokens"],
        "usd_per_1m_output_tokens": cost["usd_per_1m_output_tokens"],
        "slo_attainment": measured["slo_attainment"]["value"],
        **{key: measured[key] for key in ("ttft_s", "tpot_s", "e2e_s", "chunk_gap_s")},
        "acceptance_length": measured["acceptance_length"]["value"],
        "acceptance_rate": measured["acceptance_rate"]["value"],
        "acceptance_by_position": measured["acceptance_by_position"],
        "tokens_per_step": measured["tokens_per_step"]["value"],
        "reconciled": measured["reconciled"],
        "reconciliation": measured["reconciliation"],
        "prefix_cache_hit_share": measured["prefix_cache_hit_share"],
        "preemptions": measured["preemptions"],
        "energy": measured.get("energy") or older_run(),
        "verdict": measured["verdict"],
        "reason": "; ".join(dict.fromkeys(r for r in reasons if r)) or None,
    }


def usd(value: float | None) -> str:
    """A small amount of dollars with three significant digits, never in powers of ten."""
    if value is None:
        return DASH
    decimals = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 2
    return f"${value:.{decimals}f}"


#: Header, justification, and whether the column stays on a narrow terminal.
_COLUMNS = (
    ("workload", "left", True),
    ("load", "right", True),
    ("arm", "left", True),
    ("rep", "right", True),
    ("tok/s", "right", True),
    ("$/1k out", "right", True),
    ("$/1k SLO", "right", False),
    ("in SLO", "right", False),
    ("TTFT ms", "right", False),
    ("TPOT ms", "right", False),
    ("AL", "right", True),
    ("tok/step", "right", True),
    ("to the token", "left", False),
    ("throughput", "left", True),
    ("tails", "left", False),
)
NARROW = 138
_WHY_NO_SPECULATION = ("acceptance_length:", "tokens_per_step:")


def table(document: dict[str, Any], *, width: int = 140) -> Group:
    """The terminal's answer: cells, comparison, sentence. Below `NARROW` columns the details are left out."""
    parts: list[Any] = [_cell_table(document["cells"], narrow=width < NARROW)]
    rows = [row for arm in document["arms"].values() for row in arm["against_baseline"]]
    if rows:
        parts += [Text(), _comparison_table(rows, document["baseline"], narrow=width < NARROW)]
    parts += [Text(f"  {line}", style="dim") for line in _latency_lines(rows)]
    if document["capacities"]:
        parts += [Text(), Text("Capacity under the SLO", style="bold")]
        parts += [Text(f"  {capacity_sentence(row)}") for row in document["capacities"]]
    if (quality := quality_lines(document["quality"])) is not None:
        parts += [Text(), quality]
    if (answers := losslessness_lines(document["losslessness"])) is not None:
        parts += [Text(), answers]
    parts += [Text(), Text(document["headline"], style="bold")]
    if document["notice"]:
        parts.append(Text(document["notice"]))
    if document["pairs"] is not None:
        parts.append(Text(f"Pairs: {document['pairs']['sentence']}."))
    if document["unfinished_blocks"]:
        parts.append(Text(f"Not finished: {', '.join(document['unfinished_blocks'])}.", style="yellow"))
    parts += [Text(f"Warning: {warning}", style="yellow") for warning in document["warnings"]]
    parts += _footnotes(document["cells"])
    return Group(*parts)


def _cell_table(cells: list[Cell], *, narrow: bool) -> Table:
    shown = titled_table("Cells (TTFT and TPOT: medians; AL: acceptance length)")
    kept = [wanted or not narrow for _, _, wanted in _COLUMNS]
    for (name, justify, _), keep in zip(_COLUMNS, kept, strict=True):
        if keep:
            shown.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    ordered = sorted(cells, key=lambda c: (c["workload"], _rank(c), c["repeat"], c["arm"]))
    previous = None
    for cell in ordered:
        if previous not in (None, (cell["workload"], cell["load"])):
            shown.add_section()
        previous = (cell["workload"], cell["load"])
        shown.add_row(*itertools.compress(_cell_row(cell), kept))
    return shown


def _cell_row(cell: Cell) -> list[str]:
    verdict = cell["verdict"]
    return [
        cell["workload"],
        _load(cell),
        cell["arm"],
        str(cell["repeat"]),
        _number(cell["output_tokens_per_s"], ".1f"),
        usd(cell["usd_per_1k_output_tokens"]),
        usd(cell["usd_per_1k_slo_output_tokens"]),
        _number(cell["slo_attainment"], ".0%"),
        _milliseconds(cell["ttft_s"]["p50"]),
        _milliseconds(cell["tpot_s"]["p50"]),
        _number(cell["acceptance_length"], ".2f"),
        _number(cell["tokens_per_step"], ".2f"),
        "yes" if cell["reconciled"] else "[red]NO[/red]",
        _verdict(verdict["throughput"]),
        _verdict(verdict["tails"]),
    ]


def _rank(cell: Cell) -> float:
    """Loads in the order of their size; at capacity arms stay together, however different their loads are."""
    return 0.0 if cell["load"] == CAPACITY else float(cell["streams"] or cell["rate_per_s"])


def _load(cell: Cell) -> str:
    """At capacity with the number that it means for this arm."""
    if cell["load"] != CAPACITY:
        return str(cell["load"])
    if cell["streams"] is not None:
        return f"capacity: {level_label('streams', cell['streams'])}"
    return f"capacity: {level_label('rate', cell['rate_per_s'])}"


def _verdict(word: str) -> str:
    return word if word == Verdict.VALID else f"[yellow]{word}[/yellow]"


def _number(value: float | None, form: str) -> str:
    return DASH if value is None else format(value, form)


def _milliseconds(value_s: float | None) -> str:
    return DASH if value_s is None else f"{value_s * 1000:.1f}"


def _comparison_table(rows: list[dict[str, Any]], baseline: str, *, narrow: bool) -> Table:
    shown = titled_table(f"{rows[0]['title']} divided by {baseline}'s (below 1 is cheaper)")
    columns = ("arm", "workload", "load", "ratio", "each pair", "interval", "all pairs say", "verdict")
    kept = [name != "interval" or not narrow for name in columns]
    for name in itertools.compress(columns, kept):
        shown.add_column(name, no_wrap=True)
    said = {"fixed": DASH, "paid": "it paid", "lost": "it lost", "mixed": "pairs disagree", "unknown": DASH}
    for row in rows:
        interval = row["interval"]
        values = (
            row["arm"],
            row["workload"],
            row["load"],
            _number(row["cost_ratio"], ".3f"),
            ", ".join(f"{ratio:.3f}" for ratio in row["pair_ratios"]) or DASH,
            DASH if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}",
            said[direction(row)],
            row["word"],
        )
        shown.add_row(*itertools.compress(values, kept))
    return shown


def _latency_lines(rows: list[dict[str, Any]]) -> list[str]:
    """At fixed offered rates: what is compared there instead of cost."""
    return [
        f"{row['arm']} on {row['workload']} at {row['load']}: {one['title']} {_number(one['ratio'], '.3f')} "
        f"({DASH if one['interval'] is None else '{:.3f} to {:.3f}'.format(*one['interval'])}), {one['word']}"
        for row in rows
        for one in row["latencies"]
        if one["ratio"] is not None
    ]


def _footnotes(cells: list[Cell]) -> list[Text]:
    """Why a cell is not valid, each reason once, and energy; reasons of mere dashes are left to `show --json`."""
    notes: dict[str, None] = {}
    for cell in cells:
        if cell["verdict"]["throughput"] != Verdict.VALID:
            parts = (cell["reason"] or "").split("; ")
            findings = [p for p in parts if not p.startswith(("tails:", *_WHY_NO_SPECULATION))]
            place = f"{cell['arm']}, {cell['workload']}, {cell['load']}, repeat {cell['repeat']}"
            notes[f"{place}: {'; '.join(findings)}"] = None
    if any(cell["verdict"]["tails"] == Verdict.TOO_SHORT for cell in cells):
        notes[
            f"tails too_short: a p95 needs {sample_floor(0.95)} answers; `show --json` gives each reason."
        ] = None
    return [Text(f"  {note}", style="dim") for note in (*notes, *energy_lines(cells))]
