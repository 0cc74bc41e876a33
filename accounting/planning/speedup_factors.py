"""Where a speed-up went: factors whose product is the measured ratio of throughputs, from acceptance down to what is unexplained.

ratio = (tokens of a step on / off) x (a step's time off / on). The second is taken apart by adding the causes one after the other:
what the target judges beside one token, the drafter's passes, what else the method costs, and what changed in the rest of the step
(fewer decode steps for a request mean more prefill in each). What remains between the product and the measurement is named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from accounting.planning.drafting_yield import DraftingYield
from accounting.planning.steady_rate import RequestShape, mean_step
from accounting.planning.step_cost import StepCost

ACCEPTANCE, REST, JUDGED, PASSES, METHOD, UNEXPLAINED = (
    "tokens per step",
    "rest of the step",
    "verify width",
    "draft passes",
    "the method's own time",
    "not explained",
)


@dataclass(frozen=True, slots=True)
class Factor:
    """Above one it makes the server faster, below one slower."""

    cause: str
    factor: float


def speedup_factors(
    streams: float,
    on: DraftingYield,
    off: DraftingYield,
    shape: RequestShape,
    cost: StepCost,
    *,
    measured_ratio: float | None = None,
) -> list[Factor]:
    """Causes in the order in which they are added; with a measurement, what it leaves unexplained comes last.

    Args:
        on, off: the two that are compared; `off` may draft too.
        measured_ratio: tokens per second on / off.

    Raises:
        ValueError: for a load or a method that cannot be predicted.
    """
    before = _grouped(cost.by_cause(mean_step(streams, off, shape)))
    after = _grouped(cost.by_cause(mean_step(streams, on, shape)))
    factors = [Factor(ACCEPTANCE, (shape.decode_steps(off) + 1) / (shape.decode_steps(on) + 1))]
    now = sum(before.values())
    for cause in (REST, JUDGED, PASSES, METHOD):
        following = now - before[cause] + after[cause]
        factors.append(Factor(cause, now / following))
        now = following
    if measured_ratio is not None:
        factors.append(Factor(UNEXPLAINED, measured_ratio / math.prod(one.factor for one in factors)))
    return factors


def _grouped(causes: Mapping[str, float]) -> dict[str, float]:
    """Seconds by group of a step's parts, as `step_cost.part_names` calls them."""
    grouped = dict.fromkeys((REST, JUDGED, PASSES, METHOD), 0.0)
    for name, seconds in causes.items():
        method, _, part = name.rpartition(": ")
        if name == "judged token":
            grouped[JUDGED] += seconds
        elif part.startswith("draft pass"):
            grouped[PASSES] += seconds
        elif method:
            grouped[METHOD] += seconds
        else:
            grouped[REST] += seconds
    return grouped
