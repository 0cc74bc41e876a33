"""Whether the blocks at a chosen load confirm that it meets the floor; arms that do not are in no comparison.

The load was chosen because a probe looked good; only blocks that came after it can say that it is. Every block counts in
which the server was the bound, also one that saturated, drifted or failed requests: leaving out what went wrong would confirm
anything. The share of their requests that met the SLO is `confirmed` where it reaches the floor, `not refuted` where it
falls short by less than blocks differ (95 %), `refuted` otherwise. Requests of one server life resemble each other, so
that the interval is over blocks; of a single block it is Wilson's, which is too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accounting.ratio_interval import clustered_ratio_interval
from accounting.shares import wilson_interval
from accounting.verdicts import POOLABLE, Verdict
from workbench.capacity_found import searches
from workbench.loads import CAPACITY
from workbench.run_directory import RunDirectory

Row = dict[str, Any]
#: Throughput verdicts of blocks that say something of the floor; the others say something of the host, client or cache.
CONFIRMING = POOLABLE | {Verdict.SATURATED, Verdict.DRIFTING, Verdict.FAILED, Verdict.LENGTH_DRIFT}


def confirmations(cells: Sequence[Row], floor: float, counted: Sequence[int]) -> list[Row]:
    """What the measured cells at capacity, of the repeats that count, say of the floor: a row for each arm and workload."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for cell in cells:
        if cell["load"] == CAPACITY and cell["repeat"] in counted:
            groups.setdefault((cell["arm"], cell["workload"]), []).append(cell)
    return [
        {"arm": arm, "workload": workload, **confirmation(blocks, floor)}
        for (arm, workload), blocks in groups.items()
    ]


def confirmation(blocks: Sequence[Row], floor: float) -> Row:
    """One arm's blocks on one workload."""
    told = [b for b in blocks if b["verdict"]["throughput"] in CONFIRMING and b["requests"]]
    requests = [b["requests"] for b in told]
    met = [round(b["slo_attainment"]["value"] * b["requests"]) for b in told]
    row = {"blocks": len(told), "blocks_left_out": len(blocks) - len(told), "requests": sum(requests)}
    if not told:
        return {"word": "not measured", "attainment": None, "interval": None, **row}
    share = sum(met) / sum(requests)
    over_blocks = clustered_ratio_interval(met, requests)
    low, high = over_blocks or wilson_interval(sum(met), sum(requests))
    low, high = max(low, 0.0), min(high, 1.0)
    word = "confirmed" if share >= floor else "not refuted" if high >= floor else "refuted"
    return {"word": word, "attainment": share, "interval": (low, high), **row}


def mark_floor_missed(cells: Sequence[Row], confirmed: Sequence[Row], floor: float) -> None:
    """Write `floor_missed` into every cell at capacity: why its arm is in no comparison, None where it may be."""
    found = {(row["arm"], row["workload"]): row for row in confirmed}
    for cell in cells:
        if cell["load"] != CAPACITY:
            continue
        row = found.get((cell["arm"], cell["workload"]))
        cell["floor_missed"] = None
        if row is not None and row["word"] == "refuted":
            cell["floor_missed"] = (
                f"misses the floor of {floor:.0%} at the load that was chosen: {row['attainment']:.1%} of "
                f"{row['requests']} requests met the SLO in its blocks (more loads.capacity.headroom finds a load that holds)"
            )


def capacities(run: RunDirectory, confirmed: Sequence[Row]) -> list[Row]:
    """Every search with what its blocks confirm; empty where loads were given."""
    of_place = {(row["arm"], row["workload"]): row for row in confirmed}
    return [
        {**found, "confirmed": of_place.get((found["arm"], found["workload"]))} for found in searches(run)
    ]


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
        left_out = confirmed["blocks_left_out"]
        return f"not confirmed, none of {left_out} whose requests say something of the server"
    low, high = confirmed["interval"]
    left_out = f"; {confirmed['blocks_left_out']} blocks left out" if confirmed["blocks_left_out"] else ""
    return (
        f"{confirmed['attainment']:.1%} of {confirmed['requests']} requests met the SLO "
        f"({low:.1%} to {high:.1%}, floor {row['floor']:.0%}), {confirmed['word']}{left_out}"
    )
