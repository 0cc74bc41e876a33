"""What deciding would still cost: more pairs, hours and dollars, from the blocks that were measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.compare_metrics import cost_metric, decided_by_rate
from workbench.compared_arms import Cells, Row, is_decided, still_to_run
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
    """Pairs, hours and dollars until a change of the margin would be found where no word is decided yet.

    In cost, where cost is shown and no fixed rate decides it; else in the first metric that is shown. Either `reason`, why
    no number is given, or the number, with `unknown_rows`, for which there is none.
    """
    judged = _judged(rows)
    if not judged:
        return {
            "reason": "nothing that was shown can be decided by more pairs: a fixed rate decides cost itself"
        }
    title = judged[0].metric.title
    undecided = [row for row in judged if not is_decided(row)]
    if not undecided:
        return {"metric": title, "reason": f"nothing is open: every word on {title} is decided"}
    if margin <= 0:
        return {"metric": title, "reason": "no number of pairs finds a change of nothing: give --margin"}
    counts = [still_to_run(row) for row in undecided]
    known = [count for count in counts if count is not None]
    if not known:
        return {
            "metric": title,
            "reason": "not known: no two valid pairs, or more than 10,000 pairs would be needed",
        }
    as_seen = [still_to_run(row, careful=False) for row in undecided]
    means = [_block_s(run, cells, arm) for arm in arms]
    hours = max(known) * sum(means) / 3600
    return {
        "metric": title,
        "effect": margin,
        "more_pairs": max(known),
        "more_pairs_as_seen": max((count for count in as_seen if count is not None), default=None),
        "unknown_rows": len(counts) - len(known),
        "hours": hours,
        "usd": hours * experiment.price.usd_per_hour,
    }


def _judged(rows: Sequence[Row]) -> list[Row]:
    """The rows whose words matter: of cost, or of the first other metric; none that a fixed rate decides."""
    open_ = [row for row in rows if not decided_by_rate(row.metric, row.place[1])]
    cost = [row for row in open_ if row.metric.key == cost_metric(row.place[1])]
    return cost or [row for row in open_ if row.metric == open_[0].metric]


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
