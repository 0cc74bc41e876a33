"""Fixes the number of pairs of a run, once its pilot is measured, and stops it before the budget is exceeded."""

from __future__ import annotations

import json
import math
from typing import Any

from accounting.comparison import MINIMUM_PAIRS, Comparison
from accounting.errors import RunError
from accounting.pairs_needed import pairs_needed
from workbench.compare_metrics import METRICS, cost_metric
from workbench.compared_arms import Cells, Question, Row, cells_by_key, paired_row
from workbench.costing import price_cell
from workbench.experiment import Experiment
from workbench.measures import measured_cells
from workbench.pairs import PairsSection
from workbench.plan import BlockPlan, estimate
from workbench.run_directory import RunDirectory, write_json

PAIRS = "pairs.json"


def counted_repeats(run: RunDirectory, experiment: Experiment) -> range:
    """The repeats that are compared; empty while a pilot has not fixed them."""
    if experiment.pairs is None:
        last = experiment.repeats
        if (fixed := fixed_pairs(run)) is not None:
            last = min(last, fixed["pairs"])
        return range(1, last + 1)
    fixed = fixed_pairs(run)
    first = experiment.pairs.pilot + 1
    return range(first, first + (0 if fixed is None else fixed["pairs"]))


def wanted_blocks(run: RunDirectory, experiment: Experiment) -> tuple[BlockPlan, ...]:
    """The blocks of the plan that this run is to measure: with a pilot not all that were laid out."""
    counted = counted_repeats(run, experiment)
    last = counted[-1] if counted else (experiment.pairs.pilot if experiment.pairs else 0)
    return tuple(block for block in run.plan().blocks if block.repeat <= last)


def is_number_of_pairs_known(run: RunDirectory, experiment: Experiment) -> bool:
    """Whether no pilot has still to fix it. A budget may end the run earlier all the same."""
    return experiment.pairs is None or fixed_pairs(run) is not None


def fixed_pairs(run: RunDirectory) -> dict[str, Any] | None:
    """What was fixed, None where nothing was."""
    path = run.path / PAIRS
    return run.read_json(PAIRS) if path.exists() else None


def fix_pairs(run: RunDirectory, experiment: Experiment) -> dict[str, Any]:
    """Fix the number of pairs from the pilot and the budget, once: what pairs.json says stays."""
    if (fixed := fixed_pairs(run)) is not None:
        return fixed
    section = experiment.pairs
    assert section is not None
    cells = _pilot_cells(run, experiment)
    family = max(1, len(experiment.arms) - 1)
    needed = [_needed(row, section.find, family) for row in _pilot_rows(cells, experiment, section)]
    counts = [one["pairs"] for one in needed]
    wanted = None if None in counts or not counts else max(counts)
    count, limit = (section.most, "most") if wanted is None or wanted > section.most else (wanted, "pilot")
    if not needed:
        count, limit = 0, "nothing to compare"
    spent_s, round_s = spent(run), _round_s(run, experiment)
    left_s = budget_left_s(run, experiment)
    if left_s < count * round_s:
        count, limit = max(0, math.floor(left_s / round_s)), "budget"
    document = {
        "pilot": section.pilot,
        "find": section.find,
        "needed": needed,
        "pairs": count,
        "limited_by": limit,
        "spent_hours": spent_s / 3600,
        "hours_of_a_pair": round_s / 3600,
        "sentence": _sentence(section, wanted, count, limit, round_s * experiment.price.to_price().usd_per_s),
    }
    write_json(run.path / PAIRS, document)
    return document


def stop_for_budget(run: RunDirectory, experiment: Experiment, next_repeat: int) -> str:
    """Why the next pair is not begun; empty where there is budget for it. What it says is then written down.

    What a pair takes is what its missing blocks took in earlier pairs; of an arm that was not measured yet, the estimate.

    Raises:
        RunError: if not even the first pair is covered: then there is nothing to compare.
    """
    missing = [
        block.arm
        for block in run.plan().blocks
        if block.repeat == next_repeat and run.finished(block) is None
    ]
    if experiment.budget is None or not missing:
        return ""
    left_s = budget_left_s(run, experiment)
    needed_s = sum(_block_s(run, experiment, arm) for arm in missing)
    if left_s >= needed_s:
        return ""
    hours = f"{max(left_s, 0) / 3600:.2f} h are left and another pair takes {needed_s / 3600:.2f} h"
    if next_repeat <= 1:
        raise RunError(
            f"the budget ends before the first pair: {hours}.",
            hint=f"What was searched for is in {run.path / 'capacity'}; run again with a larger budget.",
        )
    pilot = 0 if experiment.pairs is None else experiment.pairs.pilot
    done = max(0, next_repeat - 1 - pilot)
    reason = f"the budget ends here: {hours}; {done} pairs are compared"
    document = fixed_pairs(run) or {"pilot": pilot}
    document |= {"pairs": done, "limited_by": "budget", "sentence": reason}
    write_json(run.path / PAIRS, document)
    return reason


def refuse_spent(run: RunDirectory, experiment: Experiment, what: str) -> None:
    """Raises RunError where nothing of the budget is left for what has to come before the first pair."""
    if budget_left_s(run, experiment) <= 0:
        raise RunError(
            f"the budget is spent before {what}.",
            hint=f"What was found is in {run.path / 'capacity'}; run again with a larger budget.",
        )


def budget_left_s(run: RunDirectory, experiment: Experiment) -> float:
    """Seconds that the budget still allows; infinite without one."""
    if experiment.budget is None:
        return math.inf
    return experiment.budget.seconds(experiment.price.usd_per_hour) - spent(run)


def spent(run: RunDirectory) -> float:
    """Seconds that servers were held in all attempts so far, finished or not."""
    total = 0.0
    for path in (run.path / "blocks").glob("*/block.json"):
        total += json.loads(path.read_text(encoding="utf-8")).get("held_s") or 0.0
    return total


def _round_s(run: RunDirectory, experiment: Experiment) -> float:
    """Seconds of one pair, or of one block of every arm."""
    return max(sum(_block_s(run, experiment, arm) for arm in experiment.arms), 1e-9)


def _block_s(run: RunDirectory, experiment: Experiment, arm: str) -> float:
    """Seconds of a block of this arm: the mean of its finished ones, the plan's estimate while there is none."""
    plan = run.plan()
    held = [
        json.loads((attempt.path / "block.json").read_text(encoding="utf-8")).get("held_s") or 0.0
        for block in plan.blocks
        if block.arm == arm and (attempt := run.finished(block)) is not None
    ]
    if held:
        return sum(held) / len(held)
    expected = estimate(experiment, plan)
    return expected.start_s + expected.cell_s * expected.cells / expected.blocks


def _pilot_cells(run: RunDirectory, experiment: Experiment) -> Cells:
    measured = measured_cells(run, experiment)
    price = experiment.price.to_price()
    return cells_by_key(measured, [price_cell(cell, price) for cell in measured])


def _pilot_rows(cells: Cells, experiment: Experiment, section: PairsSection) -> list[Row]:
    """A row for each arm and place that both arms have cells at: an arm without a capacity asks for no pairs."""
    question = Question(section.find, repeats=range(1, section.pilot + 1))
    there = {key[:3] for key in cells}
    return [
        paired_row(
            cells,
            METRICS[cost_metric(level.label)],
            (arm, experiment.baseline_arm),
            (w, level.label),
            question,
        )
        for arm in experiment.arms
        if arm != experiment.baseline_arm
        for w in experiment.workloads
        for level in experiment.loads.levels
        if {(arm, w, level.label), (experiment.baseline_arm, w, level.label)} <= there
    ]


def _needed(row: Row, find: float, family: int) -> dict[str, Any]:
    place = {"arm": row.arm, "workload": row.place[0], "load": row.place[1]}
    assert isinstance(row.found, Comparison)
    ratios = row.found.pair_ratios
    if len(ratios) < 2:
        return {**place, "sd": None, "pairs": None, "reason": f"{len(ratios)} valid pairs in the pilot"}
    found = pairs_needed([math.log(r) for r in ratios], find, family=family)
    reason = None if found.careful_pairs is not None else "more than can be reckoned with"
    return {**place, "sd": found.sd, "pairs": found.careful_pairs, "reason": reason}


def _sentence(section: PairsSection, wanted: int | None, count: int, limit: str, usd_per_pair: float) -> str:
    if limit == "nothing to compare":
        return "no pair is run: no arm has a load, beside the baseline's, at which it could be compared"
    asked = "how many the pilot asks for is not known" if wanted is None else f"the pilot asks for {wanted}"
    why = {
        "pilot": f"the pilot's {section.pilot} pairs ask for them",
        "most": f"{asked}, `pairs.most` allows no more",
        "budget": f"{asked}, the budget allows no more",
    }[limit]
    few = f"; below {MINIMUM_PAIRS} nothing can be told" if count < MINIMUM_PAIRS else ""
    return (
        f"{count} pairs to find a change of {section.find:.1%} in 80 % of tries: {why} "
        f"(${usd_per_pair:.3g} a pair){few}"
    )
