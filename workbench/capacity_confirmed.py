"""Whether the blocks at a chosen load confirm that it meets the floor; arms that do not are in no comparison.

The load was chosen because a probe looked good; only blocks that came after it can say that it is. Their requests are
pooled over repeats: `confirmed` where their share reaches the floor, `not refuted` where it falls short by less than
chance allows (Wilson, 95 %), `refuted` otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accounting.shares import wilson_interval
from workbench.capacity_found import searches
from workbench.loads import CAPACITY
from workbench.run_directory import RunDirectory

Row = dict[str, Any]


def confirmation(pooled: Row, floor: float) -> Row:
    """What the pooled requests of an arm's blocks at capacity say of the floor."""
    share, requests = pooled["slo_attainment"]["value"], pooled["requests"]
    if share is None:
        return {"word": "not measured", "attainment": None, "interval": None, "requests": requests}
    low, high = wilson_interval(round(share * requests), requests)
    word = "confirmed" if share >= floor else "not refuted" if high >= floor else "refuted"
    return {"word": word, "attainment": share, "interval": (low, high), "requests": requests}


def mark_floor_missed(cells: Sequence[Row], pooled: Sequence[Row], floor: float) -> None:
    """Write `confirmed` into every pooled row at capacity, and `floor_missed`, the reason or None, into its cells."""
    at_capacity = _at_capacity(pooled)
    for row in at_capacity.values():
        row["confirmed"] = confirmation(row, floor)
    for cell in cells:
        if cell["load"] != CAPACITY:
            continue
        row_of_cell = at_capacity.get((cell["arm"], cell["workload"]))
        found = None if row_of_cell is None else row_of_cell["confirmed"]
        cell["floor_missed"] = None
        if found is not None and found["word"] == "refuted":
            cell["floor_missed"] = (
                f"misses the floor of {floor:.0%} at the load that was chosen: {found['attainment']:.1%} of "
                f"{found['requests']} requests met the SLO in its blocks (more loads.capacity.headroom finds a load that holds)"
            )


def capacities(run: RunDirectory, pooled: Sequence[Row]) -> list[Row]:
    """Every search with what its blocks confirm; empty where loads were given."""
    at_capacity = _at_capacity(pooled)
    return [
        {**found, "confirmed": at_capacity.get((found["arm"], found["workload"]), {}).get("confirmed")}
        for found in searches(run)
    ]


def _at_capacity(pooled: Sequence[Row]) -> dict[tuple[str, str], Row]:
    return {(row["arm"], row["workload"]): row for row in pooled if row["load"] == CAPACITY}


def capacity_sentence(row: Row) -> str:
    """One capacity in words, for the terminal and the report."""
    place = f"{row['arm']} on {row['workload']}"
    if row["chosen"] is None:
        return f"{place}: {row['sentence']}. Nearest feasible SLO at this load: {nearest_words(row)}."
    return f"{place}: {row['sentence']}. In its blocks: {confirmed_words(row)}."


def nearest_words(row: Row) -> str:
    """The nearest SLO that the lowest load meets, or why there is none; empty where a load meets the one asked for."""
    return str(row["nearest_slo"] or row["nearest_slo_reason"] or "")


def confirmed_words(row: Row) -> str:
    """What the blocks say of the chosen load; empty where none was chosen."""
    if row["chosen"] is None:
        return ""
    confirmed = row["confirmed"]
    if confirmed is None:
        return "not confirmed, no finished one at this load"
    if confirmed["attainment"] is None:
        return "not confirmed, none whose requests could be used"
    low, high = confirmed["interval"]
    return (
        f"{confirmed['attainment']:.1%} of {confirmed['requests']} requests met the SLO "
        f"({low:.1%} to {high:.1%}, floor {row['floor']:.0%}), {confirmed['word']}"
    )
