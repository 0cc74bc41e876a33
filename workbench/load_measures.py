"""The files of one load -> the document that `kilotoken load` prints: what was measured, and whether to trust it."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

import msgspec

from accounting.evidence import CellFacts
from accounting.load_summary import summarise
from accounting.record_columns import RecordColumns
from loadtest.arrivals import RateProfile, achieved_arrivals
from loadtest.config import ClosedLoop, LoadSpec, OpenLoop, Replay
from loadtest.workloads import Workload
from workbench.achieved_hits import achieved_hits
from workbench.cell_data import CellData, read_cell
from workbench.energy_measures import energy_measures, output_tokens_of
from workbench.kv_blocks import NOT_VLLM, KvBlocks
from workbench.measures import reconciled_counts, window_counters
from workbench.natural_lengths import length_facts
from workbench.plan import BlockPlan, CellPlan
from workbench.run_directory import CellDirectory
from workbench.server_lives import with_answer_memory


def measure_load(
    spec: LoadSpec,
    directory: CellDirectory,
    workload: Workload,
    *,
    server: dict[str, Any],
    kv: KvBlocks = KvBlocks(reason=NOT_VLLM),  # noqa: B008 - frozen
) -> dict[str, Any]:
    """Everything about one load of a workload.

    `kv`: the server's KV blocks.
    """
    (data,) = with_answer_memory([read_cell(_BLOCK, _CELL, directory)])
    start_s, end_s = _window(data, spec)
    speed, reconciliation = window_counters(data), reconciled_counts(data, spec.output.tokens)
    drafts = speed["drafts"]
    counted = data.window is not None
    known = _facts(spec, data.facts)
    document = summarise(
        data.records,
        start_s,
        end_s,
        known,
        reconciled=reconciliation["reconciled"] if counted else None,
        reconciliation_reason=reconciliation["reason"],
        drafts=drafts,
    )
    document["server"] = server | {
        name: speed[name]
        for name in (
            "output_tokens_per_s",
            "prompt_tokens",
            "acceptance_length",
            "acceptance_rate",
            "tokens_per_step",
            "prefix_cache_hit_share",
            "preemptions",
        )
    }
    document["reconciliation"] = reconciliation
    document["energy"] = energy_measures(data.energy, output_tokens_of(speed, reconciliation))
    document["caches_reset"] = data.caches_reset
    document["cache_salted"] = data.cache_salted
    document["load"] = _about_load(spec, workload)
    document["arrivals"] = None if isinstance(spec.arrivals, ClosedLoop) else _arrivals(data.records)
    document["prefix_hits"] = achieved_hits(workload, data, kv)
    return document


# A load is one cell in a directory of its own.
_CELL = CellPlan("load", "load", 1, 0, 1)
_BLOCK = BlockPlan("load", "load", 1, 0, (_CELL,))


def _window(data: CellData, spec: LoadSpec) -> tuple[float, float]:
    """The window's edges. Where the requests were given (a number of them, a trace), all are inside, the first ones too."""
    start_s, end_s = data.window_edges_s
    if spec.stages.requests is not None or isinstance(spec.arrivals, Replay):
        start_s = min(
            start_s, float(data.records.intended_send_s[data.records.measured].min(initial=start_s))
        )
    return start_s, end_s


def _facts(spec: LoadSpec, facts: CellFacts) -> CellFacts:
    arrivals = spec.arrivals
    rate = RateProfile(arrivals.rates).last_rate if isinstance(arrivals, OpenLoop) else None
    steady = isinstance(arrivals, ClosedLoop) or (
        isinstance(arrivals, OpenLoop) and {r for s in arrivals.rates for r in (s.start, s.end)} == {rate}
    )
    return replace(
        facts,
        streams=arrivals.streams if isinstance(arrivals, ClosedLoop) else None,
        offered_rate_per_s=rate if steady else None,
        rate_changes=not steady,
    )


def _about_load(spec: LoadSpec, workload: Workload) -> dict[str, Any]:
    """What was asked for; with natural lengths also how many there are."""
    about: dict[str, Any] = msgspec.to_builtins(spec)
    for name in ("records_dir", "cache_salt"):
        del about[name]
    about["description"], about["synthetic"] = workload.description, workload.synthetic or None
    if spec.output.kind == "natural":
        about["natural_lengths"] = length_facts(spec.output.lengths_path)
        del about["output"]["lengths_path"]
    return about


def _arrivals(records: RecordColumns) -> dict[str, Any]:
    """Intended against achieved arrivals of all measured requests."""
    first_turns = records.measured & (records.turn == 0)
    sent = [None if math.isnan(s) else s for s in records.sent_s[first_turns].tolist()]
    achieved = achieved_arrivals(records.intended_send_s[first_turns].tolist(), sent)
    return asdict(achieved) | {"share_sent": achieved.share_sent}
