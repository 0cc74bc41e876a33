"""The plan: of all policies that a profile and logged traffic let one judge, the one that serves most tokens within the SLO.

Most tokens per second within the SLO at the highest load that keeps it are least dollars per thousand of them: the box costs the same.
First every drafter and k by its steady rate, the best of them simulated request by request; then the best two, and no drafting at all,
with other batchings and with drafting only up to so many sequences.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from accounting.capacity import Bounds
from accounting.cost import usd_per_1k_in
from accounting.planning.drafting_yield import OFF, no_drafting
from accounting.planning.policy_choice import (
    Judged,
    judged_by_capacity,
    most_promising,
)
from accounting.planning.queue_simulation import Policy, Simulated, simulate_closed, simulate_open
from accounting.planning.steady_rate import paying_loads, steady_rate
from workbench.planning.candidates import Candidate, refined
from workbench.planning.holding_range import holds_while
from workbench.planning.plan_inputs import PlanInputs

Document = dict[str, Any]
#: Drafters and k that are simulated, beside none: their steady rates tell the others' fate.
SIMULATED = 5
#: Of them, those that are looked at with other batchings.
REFINED = 2
#: Answers for each stream, and at least: a floor of 95 % needs more than a few.
ANSWERS_PER_STREAM, LEAST_ANSWERS = 12, 80


def plan_document(inputs: PlanInputs) -> Document:
    """The chosen policy, what it gains, and the others with the reason why not."""
    refused = {name: why for name, one in inputs.candidates.items() if (why := inputs.allowed(one))}
    served = {name: one for name, one in inputs.candidates.items() if name not in refused}
    loads = inputs.loads
    rates = {name: inputs.steady(one.policy, inputs.mix) for name, one in served.items()}
    promising = most_promising(
        {name: one.policy for name, one in served.items()},
        lambda policy: inputs.steady(policy, inputs.mix),
        keep=SIMULATED,
        always=(OFF,),
    )
    first = _judged(inputs, promising)
    second_look: dict[str, Candidate] = {}
    for judged in [*first[:REFINED], *(one for one in first[REFINED:] if one.name == OFF)]:
        second_look |= refined(served[judged.name], _pays_up_to(inputs, judged.policy, loads))
    for name, one in list(second_look.items()):
        if why := inputs.allowed(one):
            refused[name] = why
            del second_look[name]
    again = {name: one.policy for name, one in second_look.items() if name not in promising}
    everything = served | second_look
    judged_all = sorted([*first, *_judged(inputs, again)], key=_order)
    best = judged_all[0]
    return {
        "slo": asdict(inputs.slo), "by": inputs.by, "mix": dict(inputs.mix.tokens),
        "shape": asdict(inputs.mix.shape), "price": None if inputs.price is None else asdict(inputs.price),
        "feasible": best.capacity.load is not None,
        "chosen": _row(inputs, best, everything),
        "schedule": best.policy.drafts_up_to is not None,
        "gain": _gain(inputs, best, next(one for one in judged_all if one.name == OFF)),
        "holds_while": holds_while(inputs, best, judged_all),
        "candidates": [_row(inputs, one, everything) for one in judged_all],
        "not_simulated": {
            name: f"its steady rate, {rate:.1f} tokens/s, is below those of {SIMULATED} others" for name, rate in rates.items()
            if name not in promising
        },
        "refused": refused,
    }  # fmt: skip


def _order(one: Judged) -> tuple[bool, float]:
    return one.capacity.load is None, -one.capacity.slo_tokens_per_s


def _judged(inputs: PlanInputs, policies: Mapping[str, Policy]) -> list[Judged]:
    return judged_by_capacity(
        policies, lambda policy, load: simulated(inputs, policy, load), inputs.slo, _bounds(inputs)
    )


def _bounds(inputs: PlanInputs) -> Bounds:
    """Streams as far as they were measured; rates up to what the fastest policy could answer with all of them."""
    most = max(inputs.streams)
    if inputs.by == "streams":
        return Bounds(min(inputs.streams), most, resolution=0.05)
    fastest = max(
        steady_rate(
            most, inputs.mix.drafting(one.policy.drafting), inputs.mix.shape, inputs.cost
        ).tokens_per_s
        for one in inputs.candidates.values()
    )
    highest = 1.2 * fastest / inputs.mix.shape.output
    return Bounds(highest / 64, highest, resolution=0.05, whole=False)


def simulated(inputs: PlanInputs, policy: Policy, load: float) -> Simulated:
    """The drawn requests at a load, without the beginning."""
    if inputs.by == "streams":
        streams = int(load)
        asked = inputs.draw.requests(
            streams + max(LEAST_ANSWERS, ANSWERS_PER_STREAM * streams), seed=inputs.seed
        )
        return simulate_closed(streams, asked, policy, inputs.cost, seed=inputs.seed).after(streams)
    count = 2 * LEAST_ANSWERS
    gaps = np.random.default_rng(inputs.seed).exponential(1.0 / load, count)
    asked = inputs.draw.requests(count, seed=inputs.seed)
    return simulate_open(np.cumsum(gaps).tolist(), asked, policy, inputs.cost, seed=inputs.seed)


def _pays_up_to(inputs: PlanInputs, policy: Policy, loads: Sequence[int]) -> int | None:
    """Where drafting pays from one sequence to so many and not beyond; None where it pays otherwise."""
    drafting = inputs.mix.drafting(policy.drafting)
    if drafting.method == OFF:
        return None

    def ratio(streams: int) -> float:
        return inputs.rate(streams, drafting) / inputs.rate(streams, no_drafting())

    ranges = paying_loads(ratio, loads)
    if len(ranges) != 1 or ranges[0][0] != min(loads) or ranges[0][1] >= policy.max_num_seqs:
        return None
    return ranges[0][1]


def _row(inputs: PlanInputs, one: Judged, known: Mapping[str, Candidate]) -> Document:
    found = one.capacity
    cost = None
    if inputs.price is not None and found.slo_tokens_per_s > 0:
        cost = usd_per_1k_in(inputs.price.usd_per_s, 1.0, found.slo_tokens_per_s)
    drafting = inputs.mix.drafting(one.policy.drafting)
    return {
        "name": one.name, "load": found.load, "slo_tokens_per_s": found.slo_tokens_per_s,
        "tokens_per_s": found.tokens_per_s, "attainment": found.attainment, "usd_per_1k_slo": cost,
        "tokens_per_step": drafting.tokens_per_step, "schedule": one.policy.drafts_up_to is not None,
        "sections": known[one.name].sections,
    }  # fmt: skip


def _gain(inputs: PlanInputs, best: Judged, off: Judged) -> Document:
    """Tokens within the SLO against no drafting with the profile's batching, each at its own capacity.

    The interval (95 %) is that of the two steps: half-widths of their logarithms, as if they were independent.
    """
    if best.capacity.load is None or off.capacity.load is None or off.capacity.slo_tokens_per_s <= 0:
        return {"ratio": None, "interval": None, "reason": "one of the two has no capacity under this SLO"}
    ratio = best.capacity.slo_tokens_per_s / off.capacity.slo_tokens_per_s
    if best.name == OFF:
        return {"ratio": 1.0, "interval": None, "reason": "the plan is no drafting, as it was"}
    half = math.hypot(*(_log_half_width(inputs, one) for one in (best, off)))
    return {"ratio": ratio, "interval": [ratio * math.exp(-half), ratio * math.exp(half)], "reason": None}


def _log_half_width(inputs: PlanInputs, one: Judged) -> float:
    streams = float(one.capacity.load or 1) if inputs.by == "streams" else float(one.policy.max_num_seqs)
    rate = steady_rate(streams, inputs.mix.drafting(one.policy.drafting), inputs.mix.shape, inputs.cost)
    return math.log(rate.tokens_per_s / rate.low_tokens_per_s)
