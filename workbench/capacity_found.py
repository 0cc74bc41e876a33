"""What the searches of a run found: each arm's capacity on each workload, read from capacity/."""

from __future__ import annotations

from typing import Any

from workbench.plan import BlockPlan, CellPlan
from workbench.run_directory import RunDirectory

Found = dict[str, Any]


def read_found(run: RunDirectory, arm: str, workload: str) -> Found:
    """The document of one search.

    Raises:
        RunError: if it is missing or damaged.
    """
    hint = f"Move blocks/search-{arm}.* away and search again with `kilotoken run --resume {run.path}`."
    return run.read_json(run.capacity(arm, workload).relative_to(run.path), hint=hint)


def searches(run: RunDirectory) -> list[Found]:
    """Every finished search, in plan order; none in a run whose loads were given."""
    return [
        read_found(run, block.arm, cell.workload)
        for block in run.plan().searches
        if run.finished(block) is not None
        for cell in block.cells
    ]


def at_its_load(run: RunDirectory, block: BlockPlan, cell: CellPlan) -> CellPlan | None:
    """The cell at the load it runs at; None where the arm meets the SLO at no load that was allowed."""
    if not cell.at_capacity:
        return cell
    found = read_found(run, block.arm, cell.workload)
    return None if found["chosen"] is None else cell.at(found["by"], found["chosen"])
