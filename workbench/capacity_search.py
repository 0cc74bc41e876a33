"""The search for an arm's capacity on one workload: probes that are measured cells, each with its verdicts.

A probe meets the floor when the share of its requests that met every limit, less the declared headroom, reaches it;
nothing that disturbs a probe makes that easier. One that misses it while the host or the client was the bound is tried
again (`accounting.capacity.TRIES`). No price comes from here: blocks of their own confirm the load that was chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from accounting import shares
from accounting.capacity import Decision, Probed, bracket, next_load, sentence
from accounting.feasible_slo import loosened_words, nearest_feasible
from accounting.slo import attainment
from accounting.verdicts import Verdict
from serving.config import ServerConfig
from workbench.cell import Progress, load_spec, run_cell
from workbench.cell_data import CellData, read_cell
from workbench.experiment import Experiment, workload_label
from workbench.loads import CapacitySection, Level, level_label
from workbench.measures import measure_cell
from workbench.plan import BlockPlan, CellPlan
from workbench.run_directory import BlockDirectory
from workbench.server_under_test import ServerUnderTest

#: What may have made a probe miss the floor though the server would have met it.
NOT_THE_SERVER = (Verdict.NOISY_HOST, Verdict.CLIENT_BOUND, Verdict.CACHE_CONTAMINATED)
#: What voids a probe even where it met the floor: answers came from what an earlier cell had left behind.
TOO_EASY = (Verdict.CACHE_CONTAMINATED,)


@dataclass(frozen=True, slots=True)
class _Lowest:
    """The probe of the lowest load: the first that was judged, else the last."""

    data: CellData
    row: dict[str, Any]


def search_capacity(
    experiment: Experiment,
    block: BlockPlan,
    cell: CellPlan,
    server: ServerUnderTest,
    directory: BlockDirectory,
    workload_source: str,
    *,
    started: Callable[[CellPlan], Callable[[Progress], None]],
    probed: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Probe until the capacity is bracketed; returns the document that capacity/ keeps.

    Raises:
        ServerError: if the server died, or answered nothing at all.
        LoadError: if the load generator failed.
    """
    section = experiment.loads.capacity
    assert section is not None
    bounds, slo = section.to_bounds(), experiment.slo.to_slo()
    probes: list[dict[str, Any]] = []
    tried: list[Probed] = []
    lowest: _Lowest | None = None
    while (value := next_load(tried, bounds)) is not None:
        probe = probe_cell(experiment, cell, Level(section.by, value), len(probes))
        files = directory.cell(probe)
        order = msgspec.structs.replace(block, order_seed=block.order_seed + len(probes))
        spec = load_spec(experiment, order, probe, server, files.path / "records", workload_source)
        run_cell(spec, server, files, report=started(probe))
        data = read_cell(block, probe, files)
        kept = attainment(data.in_window, slo.tightened(section.headroom)).requests.value
        row = judge_probe(measure_cell(data, experiment, None), value, kept, slo.attainment_floor)
        if value == bounds.lowest and (lowest is None or lowest.row["decision"] == Decision.UNJUDGED):
            lowest = _Lowest(data, row)
        probes.append({"cell": probe.cell_id} | row)
        tried.append((value, Decision(row["decision"])))
        probed(row)
    return _document(experiment, section, block, cell, probes, tried, lowest)


def probe_cell(experiment: Experiment, cell: CellPlan, level: Level, number: int) -> CellPlan:
    """The cell of probe `number` (from 0).

    Probes draw from all prompts, each in an order of its own, since the prefix cache is emptied in between. The cache
    of suffix decoding is not: where an arm has one, every probe of every arm has a slice of the prompts to itself.
    """
    assert experiment.loads.capacity is not None
    assert level.value is not None
    configs = experiment.arm_configs(origin=experiment.name).values()
    sliced = any(isinstance(c, ServerConfig) and c.speculation.method == "suffix" for c in configs)
    slices = experiment.loads.capacity.most_probes if sliced else 1
    probe = CellPlan(
        f"{workload_label(cell.workload)}-probe-{number + 1}-at-{level.slug}",
        cell.workload,
        None,
        number % slices,
        slices,
        at_capacity=True,
    )
    return probe.at(level.kind, level.value)


def judge_probe(measured: dict[str, Any], at: float, kept: float | None, floor: float) -> dict[str, Any]:
    """A probe's row: what it measured, and whether its load meets the floor.

    `kept`: share of its requests that met the limits with headroom, None without requests.
    """
    share, requests = measured["slo_attainment"]["value"], measured["requests"]
    verdict = measured["verdict"]["throughput"]
    decision, reason = _decide(kept, verdict, floor)
    met = None if share is None else round(share * requests)
    return {
        "at": at,
        "requests": requests,
        "failed": measured["failed"],
        "attainment": share,
        "attainment_with_headroom": kept,
        "attainment_interval": None if met is None else shares.wilson_interval(met, requests),
        "output_tokens_per_s": measured["output_tokens_per_s"],
        "slo_token_share": measured["slo_token_share"]["value"],
        "ttft_p50_s": measured["ttft_s"]["p50"],
        "tpot_p50_s": measured["tpot_s"]["p50"],
        "verdict": measured["verdict"],
        "decision": str(decision),
        "reason": "; ".join(filter(None, [reason, measured["reason"]])),
    }


def _decide(share: float | None, verdict: str, floor: float) -> tuple[Decision, str]:
    if share is None:
        return Decision.UNJUDGED, "no request was sent inside the window"
    if verdict in TOO_EASY:
        return Decision.UNJUDGED, f"the cell is {verdict}"
    if verdict == Verdict.SATURATED:
        return Decision.MISSES, "the server did not keep up with the arrivals"
    if share >= floor:
        return Decision.MEETS, ""
    if verdict in NOT_THE_SERVER:
        return Decision.UNJUDGED, f"it missed the floor, but the cell is {verdict}"
    return Decision.MISSES, ""


def _document(
    experiment: Experiment,
    section: CapacitySection,
    block: BlockPlan,
    cell: CellPlan,
    probes: list[dict[str, Any]],
    tried: list[Probed],
    lowest: _Lowest | None,
) -> dict[str, Any]:
    found, slo = bracket(tried), experiment.slo.to_slo()
    nearest = None
    if found.met is None and lowest is not None:
        feasible = nearest_feasible(lowest.data.in_window, slo, headroom=section.headroom)
        nearest = None if feasible is None else loosened_words(slo, feasible)
    return {
        "arm": block.arm,
        "workload": cell.workload,
        "by": section.by,
        "floor": experiment.slo.attainment_floor,
        "headroom": section.headroom,
        "chosen": _as_counted(found.met, section),
        "lowest_missed": _as_counted(found.missed, section),
        "sentence": sentence(tried, section.to_bounds(), partial(level_label, section.by)),
        "nearest_slo": nearest or None,
        "nearest_slo_reason": _why_no_slo(found.met, nearest, lowest),
        "probes": probes,
    }


def _as_counted(load: float | None, section: CapacitySection) -> float | int | None:
    """Streams as the whole number that they are."""
    return round(load) if load is not None and section.by == "streams" else load


def _why_no_slo(met: float | None, nearest: str | None, lowest: _Lowest | None) -> str | None:
    """Why no nearest SLO is given; None where one is, or where none is needed."""
    if met is not None or nearest:
        return None
    if lowest is None or not len(lowest.data.in_window):
        return "not known: no request was answered at the lowest load"
    if nearest is None:
        return "none: too many requests failed at the lowest load, whatever the limits"
    return f"none: the limits themselves were met at the lowest load, but {lowest.row['reason']}"
