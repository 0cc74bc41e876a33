"""Which policy serves most tokens within an SLO: many are looked at by their steady rate, the best of them are simulated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from accounting.capacity import Bounds
from accounting.planning.drafting_yield import DraftingYield, mixed, no_drafting
from accounting.planning.queue_simulation import Policy, Simulated
from accounting.planning.simulated_capacity import SimulatedCapacity, simulated_capacity
from accounting.planning.steady_rate import RequestShape, steady_rate
from accounting.planning.step_cost import StepCost
from accounting.slo import Slo


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficMix:
    """Requests as they come: `tokens`, the share of output tokens of each class; `shape`, means over all requests."""

    tokens: Mapping[str, float]
    shape: RequestShape

    def drafting(self, by_class: Mapping[str, DraftingYield]) -> DraftingYield:
        """One yield for all classes together; none where nothing is drafted."""
        if not by_class:
            return no_drafting()
        labels = [label for label, share in self.tokens.items() if share > 0]
        return mixed([by_class[label] for label in labels], [self.tokens[label] for label in labels])


@dataclass(frozen=True, slots=True)
class Judged:
    """A policy by name, and what it sustains."""

    name: str
    policy: Policy
    capacity: SimulatedCapacity


def best_steady_rate(
    policy: Policy, mix: TrafficMix, cost: StepCost, slo: Slo, streams: Sequence[int]
) -> float:
    """Most tokens per second of a closed loop at any of these loads whose mean TPOT keeps the limit; 0 where none does."""
    best = 0.0
    for count in streams:
        if count > policy.max_num_seqs:
            continue
        drafts = policy.drafts_up_to is None or count <= policy.drafts_up_to
        drafting = mix.drafting(policy.drafting) if drafts else no_drafting()
        rate = steady_rate(count, drafting, mix.shape, cost)
        if slo.tpot_s is None or rate.tpot_s <= slo.tpot_s:
            best = max(best, rate.tokens_per_s)
    return best


def most_promising(
    policies: Mapping[str, Policy], rate: Callable[[Policy], float], *, keep: int, always: Sequence[str]
) -> dict[str, Policy]:
    """The `keep` policies with the highest rates, and those that are looked at whatever their rate, in the given order."""
    rates = {name: rate(policy) for name, policy in policies.items()}
    best = sorted(rates, key=lambda name: rates[name], reverse=True)[:keep]
    return {name: policy for name, policy in policies.items() if name in best or name in always}


def judged_by_capacity(
    policies: Mapping[str, Policy],
    simulate: Callable[[Policy, float], Simulated],
    slo: Slo,
    bounds: Bounds,
) -> list[Judged]:
    """Each policy at the highest load at which it meets the SLO, most tokens within the SLO first; ties stay in order.

    Args:
        simulate: a policy at a load.
    """
    judged = [
        Judged(name, policy, simulated_capacity(partial(simulate, policy), slo, bounds))
        for name, policy in policies.items()
    ]
    # No capacity at all stands behind any.
    return sorted(judged, key=lambda one: (one.capacity.load is None, -one.capacity.slo_tokens_per_s))
