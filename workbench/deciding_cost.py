"""What deciding would still cost: more pairs, hours and dollars, from the blocks that were measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.compare_metrics import cost_metric
from workbench.compared_arms import Cells, Row, still_to_run
from workbench.experiment import Experiment
from workbench.run_directory import RunDirectory


def deciding(
    run: RunDirectory,
    experiment: Experiment,
    cells: Cells,
    rows: Sequence[Row],
    margin: float,
    arms: Sequence[str],
) -> dict[str, Any]:
    """Pairs, hours and dollars until a change of the margin would be found in cost, from measured blocks."""
    open_ = [row for row in rows if row.metric.key == cost_metric(row.place[1])] or list(rows)
    counts = [still_to_run(row) for row in open_]
    known = [count for count in counts if count is not None]
    if not known:
        return {"reason": "not known: no two valid pairs, or more than 10,000 pairs would be needed"}
    means = [_block_s(run, cells, arm) for arm in arms]
    hours = max(known) * sum(means) / 3600
    return {
        "effect": margin,
        "more_pairs": max(known),
        "more_pairs_as_seen": max(still_to_run(row, careful=False) or 0 for row in open_),
        "unknown_rows": len(counts) - len(known),
        "hours": hours,
        "usd": hours * experiment.price.usd_per_hour,
    }


def _block_s(run: RunDirectory, cells: Cells, arm: str) -> float:
    """Mean seconds of an arm's finished blocks: server start, then first idle page to last (or windows alone)."""
    lengths = []
    for block in run.plan().blocks:
        attempt = run.finished(block) if block.arm == arm else None
        if attempt is None:
            continue
        facts = json.loads((attempt.path / "block.json").read_text(encoding="utf-8"))
        edges = [_edges(attempt.cell(cell).facts) for cell in block.cells]
        ends = [end for pair in edges for end in pair]
        windows = sum(
            m["window_s"] for key, (m, _) in cells.items() if key[0] == arm and key[3] == block.repeat
        )
        lengths.append((facts.get("startup_s") or 0.0) + (max(ends) - min(ends) if ends else windows))
    return sum(lengths) / len(lengths) if lengths else 0.0


def _edges(path: Path) -> list[float]:
    try:
        edges = json.loads(path.read_text(encoding="utf-8")).get("edges", {})
    except (OSError, ValueError):
        return []
    return [edge["at_s"] for edge in edges.values()]
