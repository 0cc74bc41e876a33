"""What a plan is made from: step costs, candidates, traffic, the SLO; and what a policy gives in the steady state of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from accounting.planning.drafting_yield import DraftingYield
from accounting.planning.policy_choice import TrafficMix, best_steady_rate
from accounting.planning.queue_simulation import Policy
from accounting.planning.steady_rate import steady_rate
from accounting.planning.step_cost import StepCost
from accounting.prices import Price
from accounting.slo import Slo
from workbench.loads import Kind
from workbench.planning.candidates import Candidate
from workbench.planning.logged_traffic import RequestDraw


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanInputs:
    """`allowed`: why a candidate is not served, None where it would be. `streams`: the loads that were measured."""

    cost: StepCost
    candidates: Mapping[str, Candidate]
    mix: TrafficMix
    draw: RequestDraw
    slo: Slo
    by: Kind
    streams: Sequence[int]
    price: Price | None
    seed: int
    allowed: Callable[[Candidate], str | None]

    @property
    def loads(self) -> range:
        """Every number of streams between the least and the most that were measured."""
        return range(min(self.streams), max(self.streams) + 1)

    def steady(self, policy: Policy, mix: TrafficMix) -> float:
        """Most tokens per second of a policy on this traffic whose mean TPOT keeps the limit."""
        return best_steady_rate(policy, mix, self.cost, self.slo, self.loads)

    def rate(self, streams: float, drafting: DraftingYield) -> float:
        """Tokens per second at a load."""
        return steady_rate(streams, drafting, self.mix.shape, self.cost).tokens_per_s
