"""What a drafter yielded in measured windows, and what the requests in them were like: the plan's inputs, as a server counted them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from accounting.planning.drafting_yield import OFF, DraftingYield, no_drafting
from accounting.planning.steady_rate import RequestShape

Row = Mapping[str, Any]


def measured_yield(rows: Sequence[Row], *, drafter: str, k: int, passes: float) -> DraftingYield:
    """Of windows of one arm on one workload, each by its decode steps.

    Args:
        rows: cells of measures.json that have a step (`measured_step`).
        drafter, k, passes: of the arm.
    """
    if drafter == OFF:
        return no_drafting()
    steps = math.fsum(row["decode_steps"] for row in rows)
    survival = [
        math.fsum((row["drafts"] or 0) * _at(row["acceptance_by_position"], position) for row in rows) / steps
        for position in range(k)
    ]
    drafted = math.fsum(row["draft_tokens"] or 0 for row in rows) / steps
    found = DraftingYield(
        method=drafter, k=k, drafted=min(drafted, float(k)), survival=tuple(survival), draft_steps=passes
    )
    made = math.fsum(row["decode_steps"] * row["tokens_per_step"]["value"] for row in rows) / steps
    return found.cut_to(made)


def _at(shares: Sequence[float], position: int) -> float:
    return shares[position] if position < len(shares) else 0.0


def measured_shape(rows: Sequence[Row]) -> RequestShape:
    """Of the requests of these windows, each window by its requests."""
    weights = [row["requests"] for row in rows]

    def mean(of: Callable[[Row], float]) -> float:
        return math.fsum(w * of(row) for w, row in zip(weights, rows, strict=True)) / math.fsum(weights)

    return RequestShape(
        prefilled=mean(lambda row: row["request_means"]["prompt_tokens"] * _uncached_share(row)),
        output=mean(lambda row: row["request_means"]["answer_tokens"]),
        context=mean(lambda row: row["request_means"]["decode_context_tokens"]),
    )


def _uncached_share(row: Row) -> float:
    return 1.0 - float(row["cached_prompt_tokens"] or 0) / float(row["prompt_tokens"])
