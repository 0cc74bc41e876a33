"""While a plan stays the best one: down to which acceptance, and at which share of each class of the traffic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accounting.planning.drafting_yield import OFF, no_drafting
from accounting.planning.policy_choice import Judged
from accounting.planning.steady_rate import break_even_tokens_per_step
from workbench.planning.logged_traffic import Mix, traffic_mix
from workbench.planning.plan_inputs import PlanInputs

Document = dict[str, Any]
#: Shares that are looked at: 0, 5 %, ... 100 %.
STEPS = 20


def holds_while(inputs: PlanInputs, best: Judged, judged: Sequence[Judged]) -> Document:
    """`tokens_per_step`: below it no drafting is as good, at the plan's load. `mix`: shares of requests of each class between
    which no other simulated policy's steady rate is higher, the other classes in proportion; None where it is not the best by that.
    """
    drafting = inputs.mix.drafting(best.policy.drafting)
    least = None
    if drafting.method != OFF and best.capacity.load is not None:
        streams = best.capacity.load if inputs.by == "streams" else float(best.policy.max_num_seqs)
        off = inputs.rate(streams, no_drafting())
        least = break_even_tokens_per_step(lambda of: inputs.rate(streams, of), drafting, off)
    labels = inputs.draw.mix if len(inputs.draw.mix) > 1 else ()
    return {
        "tokens_per_step": least,
        "planned_tokens_per_step": drafting.tokens_per_step,
        "runner_up": next((one.name for one in judged if one.name != best.name), None),
        "mix": {label: _range(inputs, best, judged, label) for label in labels},
    }


def _range(inputs: PlanInputs, best: Judged, judged: Sequence[Judged], label: str) -> list[float] | None:
    own = inputs.draw.mix[label]
    shares = sorted({own, *(step / STEPS for step in range(STEPS + 1))})
    good = [
        share
        for share in shares
        if _is_best(inputs, best, judged, _with_share(inputs.draw.mix, label, share))
    ]
    if own not in good:
        return None
    low = high = shares.index(own)
    while low > 0 and shares[low - 1] in good:
        low -= 1
    while high < len(shares) - 1 and shares[high + 1] in good:
        high += 1
    return [shares[low], shares[high]]


def _with_share(mix: Mix, label: str, share: float) -> Mix:
    others = 1.0 - mix[label]
    changed = {one: (share if one == label else own * (1.0 - share) / others) for one, own in mix.items()}
    return {one: own for one, own in changed.items() if own > 0}


def _is_best(inputs: PlanInputs, best: Judged, judged: Sequence[Judged], mix: Mix) -> bool:
    traffic = traffic_mix([trace for trace in inputs.draw.traces if trace.label in mix], mix)
    rates = {one.name: inputs.steady(one.policy, traffic) for one in judged}
    return rates[best.name] >= max(rates.values()) * (1 - 1e-9)
