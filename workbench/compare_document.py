"""A comparison as a document: rows with their adjusted p-values, cells left out, settings that differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from accounting.multiplicity import holm
from serving.resolved import resolved_difference
from workbench.compared_arms import Cells, Row, still_to_run
from workbench.engine_warnings import server_file
from workbench.run_directory import RunDirectory


def adjusted(rows: Sequence[Row], family: int) -> list[dict[str, Any]]:
    """Rows as documents, with Holm's p-value over the arms of one metric and place."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault((row.metric.key, row.place), []).append(row)
    documents = []
    for group in groups.values():
        p_values = [row.found.p_value for row in group]
        known = [p for p in p_values if p is not None]
        holms = iter(holm(known, family=family))
        documents += [
            row_document(row, None if p is None else next(holms))
            for row, p in zip(group, p_values, strict=True)
        ]
    return documents


def row_document(row: Row, p_holm: float | None) -> dict[str, Any]:
    """One row; `p_holm` is its p-value adjusted for the number of arms."""
    found = row.found
    return {
        "metric": row.metric.key,
        "title": row.metric.title,
        "better": "above 1" if row.metric.higher_is_better else "below 1",
        "arm": row.arm,
        "against": row.against,
        "workload": row.place[0],
        "load": row.place[1],
        "ratio": found.ratio,
        "interval": found.interval,
        "confidence": found.confidence,
        "word": row.word,
        "reason": found.reason or None,
        "pair_ratios": list(getattr(found, "pair_ratios", ())),
        "blocks": list(getattr(found, "blocks", ())),
        "p_value": found.p_value,
        "p_holm": p_holm,
        "sign_flip_p": getattr(found, "sign_flip_p", None),
        "left_out": list(row.left_out),
        "margin": None if row.margin is None else asdict(row.margin),
        "needed": None if row.needed is None else asdict(row.needed),
        "still_to_run": still_to_run(row),
    }


def not_valid(cells: Cells, arms: Sequence[str], run: str = "") -> list[dict[str, Any]]:
    """Cells of these arms of which any statistic is not valid, with the reason."""
    return [
        {"run": run, "load": load}
        | {key: m[key] for key in ("arm", "workload", "repeat", "verdict", "reason")}
        for (arm, _, load, _), (m, _) in cells.items()
        if arm in arms and any(word not in (None, "valid") for word in m["verdict"].values())
    ]


def resolved(run: RunDirectory, arm: str, other: RunDirectory, base: str) -> list[dict[str, Any]] | None:
    """Settings as the engines resolved them; None where one left no account."""
    mine, theirs = (server_file(r, a, "resolved.json") for r, a in ((run, arm), (other, base)))
    if not mine or not theirs:
        return None
    return [{"field": f, "against": b, "arm": a} for f, b, a in resolved_difference(theirs, mine)]
