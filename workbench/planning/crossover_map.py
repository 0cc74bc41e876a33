"""The crossover map: for each drafter, k, workload and load, what was measured, what step costs predict, and where drafting begins to pay.

A ratio is to no drafting at the same load. Break-even load: the numbers of streams, among those between the least and the most that
were measured, at which the prediction is above one. Break-even acceptance: tokens per decode step at which it is one. What a better draft
is worth at most: all that is drafted, accepted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from accounting.cost import usd_per_1k_in
from accounting.planning.drafting_yield import OFF, DraftingYield, no_drafting
from accounting.planning.speedup_factors import speedup_factors
from accounting.planning.steady_rate import (
    RequestShape,
    break_even_tokens_per_step,
    paying_loads,
    steady_rate,
)
from accounting.planning.step_cost import StepCost
from accounting.prices import Price

Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPoint:
    """One window: the arm's drafter and k, where it was measured, tokens per second."""

    arm: str
    drafter: str
    k: int
    workload: str
    streams: int
    tokens_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MapInputs:
    """`yields` by arm and workload, `shapes` by workload; the windows that were measured."""

    cost: StepCost
    yields: Mapping[tuple[str, str], DraftingYield]
    shapes: Mapping[str, RequestShape]
    points: Sequence[MapPoint]


def crossover_map(inputs: MapInputs, price: Price | None = None) -> Document:
    """`rows`: one for each drafting arm and workload, with its loads; with dollars where there is a price."""
    arms = dict.fromkeys((point.arm, point.workload) for point in inputs.points if point.drafter != OFF)
    rows = [_row(inputs, arm, workload) for arm, workload in arms]
    if price is not None:
        for load in (load for row in rows for load in row["loads"]):
            load["usd_per_1k"] = usd_per_1k_in(price.usd_per_s, 1.0, load["measured_tokens_per_s"])
    return {"rows": rows, "price": None if price is None else asdict(price)}


def _row(inputs: MapInputs, arm: str, workload: str) -> Document:
    own = [point for point in inputs.points if (point.arm, point.workload) == (arm, workload)]
    drafting, shape = inputs.yields[arm, workload], inputs.shapes[workload]

    def ratio(streams: int) -> float:
        return _rate(inputs, streams, drafting, shape) / _rate(inputs, streams, no_drafting(), shape)

    measured = [point.streams for point in inputs.points if point.workload == workload]
    return {
        "arm": arm, "drafter": own[0].drafter, "k": own[0].k, "workload": workload,
        "drafted_per_step": drafting.drafted, "tokens_per_step": drafting.tokens_per_step,
        "pays_at_streams": paying_loads(ratio, range(min(measured), max(measured) + 1)),
        "loads": list(_loads(inputs, own, drafting, shape)),
    }  # fmt: skip


def _loads(
    inputs: MapInputs, own: Sequence[MapPoint], drafting: DraftingYield, shape: RequestShape
) -> Iterator[Document]:
    off = {
        point.streams: point.tokens_per_s
        for point in inputs.points
        if (point.drafter, point.workload) == (OFF, own[0].workload)
    }
    for point in sorted(own, key=lambda one: one.streams):
        base = _rate(inputs, point.streams, no_drafting(), shape)
        predicted = steady_rate(point.streams, drafting, shape, inputs.cost)
        ratio = point.tokens_per_s / off[point.streams] if point.streams in off else None
        best = drafting.with_tokens_per_step(1.0 + drafting.drafted)

        def rate(of: DraftingYield, streams: int = point.streams) -> float:
            return _rate(inputs, streams, of, shape)

        yield {
            "streams": point.streams,
            "measured_tokens_per_s": point.tokens_per_s,
            "measured_ratio": ratio,
            "predicted_tokens_per_s": predicted.tokens_per_s,
            "predicted_interval": [predicted.low_tokens_per_s, predicted.high_tokens_per_s],
            "predicted_ratio": predicted.tokens_per_s / base,
            "predicted_tpot_s": predicted.tpot_s,
            "break_even_tokens_per_step": break_even_tokens_per_step(rate, drafting, base),
            "ratio_at_best": rate(best) / base,
            "factors": [
                asdict(factor)
                for factor in speedup_factors(
                    point.streams, drafting, no_drafting(), shape, inputs.cost, measured_ratio=ratio
                )
            ],
        }


def _rate(inputs: MapInputs, streams: int, drafting: DraftingYield, shape: RequestShape) -> float:
    return steady_rate(streams, drafting, shape, inputs.cost).tokens_per_s
