"""What drafting yields per decode step of one request: tokens gained, tokens judged, steps that the drafter takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftingYield:
    """Means over all decode steps of a request, undrafted steps included.

    Attributes:
        method: as the server's configuration names it.
        k: most tokens drafted in a step.
        drafted: tokens drafted per step. A drafter that often finds nothing (n-grams, suffixes) stays below k.
        survival: (k,). Share of *steps* whose first i drafted tokens were all accepted, i = 1..k: s_i times the share of
            steps in which something was drafted.
        draft_steps: passes of the drafter, one after the other, in a step: k for a draft model or a head, 0 for a lookup.
    """

    method: str
    k: int
    drafted: float
    survival: tuple[float, ...]
    draft_steps: float

    def __post_init__(self) -> None:
        falling = all(a >= b - 1e-9 for a, b in zip(self.survival, self.survival[1:], strict=False))
        if len(self.survival) != self.k or not falling or not all(0 <= s <= 1 for s in self.survival):
            raise ValueError(f"survival {self.survival} is not {self.k} shares that fall")
        if not 0 <= sum(self.survival) <= self.drafted + 1e-6 or self.drafted > self.k + 1e-6:
            raise ValueError(f"{sum(self.survival):g} accepted of {self.drafted:g} drafted, at most {self.k}")

    @property
    def tokens_per_step(self) -> float:
        """E = 1 + sum of survival: the target's own token and the drafts that it kept (Leviathan et al., arXiv 2211.17192)."""
        return 1.0 + sum(self.survival)

    def cut_to(self, tokens: float) -> DraftingYield:
        """The same shape of survival, lower by one factor, so that a step makes `tokens`; as it is where it makes no more.

        What is accepted behind an answer's end is accepted, and cut: a step makes less than its survival says.
        """
        kept = sum(self.survival)
        if kept <= tokens - 1.0 or kept == 0.0:
            return self
        return replace(self, survival=tuple(s * max(0.0, tokens - 1.0) / kept for s in self.survival))

    def with_tokens_per_step(self, tokens: float) -> DraftingYield:
        """The same drafting, better or worse accepted: survival on the geometric curve that sums to `tokens - 1`.

        Raises:
            ValueError: if that is more than what is drafted, or less than one.
        """
        wanted = tokens - 1.0
        if not 0 <= wanted <= self.drafted + 1e-9:
            raise ValueError(f"{tokens:g} tokens per step of 1 to {1 + self.drafted:g}")
        return replace(self, survival=_geometric(wanted, self.drafted, self.k))


def no_drafting() -> DraftingYield:
    """A server that does not speculate."""
    return DraftingYield(method=OFF, k=0, drafted=0.0, survival=(), draft_steps=0.0)


def always_drafting(method: str, accepted: Sequence[float], *, autoregressive: bool = True) -> DraftingYield:
    """A drafter that drafts k tokens in each step; `accepted` are its s_i, i = 1..k."""
    k = len(accepted)
    return DraftingYield(
        method=method, k=k, drafted=float(k), survival=tuple(accepted), draft_steps=float(k * autoregressive)
    )


def mixed(yields: Sequence[DraftingYield], tokens: Sequence[float]) -> DraftingYield:
    """One policy over several classes of traffic that are served together.

    Args:
        yields: of each class, with one method and k.
        tokens: output tokens of each class, in any unit. A class that is accepted well takes fewer steps for them.

    Raises:
        ValueError: if the policies differ or nothing is served.
    """
    policies = {(one.method, one.k, one.draft_steps) for one in yields}
    if len(policies) != 1 or len(yields) != len(tokens) or not sum(tokens) > 0 or min(tokens) < 0:
        raise ValueError("a mix is of one policy, with a share of the tokens for each class")
    steps = [share / one.tokens_per_step for share, one in zip(tokens, yields, strict=True)]
    weights = [step / sum(steps) for step in steps]
    return replace(
        yields[0],
        # Weights sum to one but for rounding.
        drafted=min(
            float(yields[0].k), math.fsum(w * one.drafted for w, one in zip(weights, yields, strict=True))
        ),
        survival=tuple(
            min(1.0, math.fsum(w * one.survival[i] for w, one in zip(weights, yields, strict=True)))
            for i in range(yields[0].k)
        ),
    )


def _geometric(wanted: float, drafted: float, k: int) -> tuple[float, ...]:
    """k shares a, a q, a q^2, ... with a = drafted / k (the share of steps that draft) times q: one rate q for all positions."""
    if k == 0:
        return ()
    share = min(1.0, drafted / k)
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if share * sum(middle**i for i in range(1, k + 1)) < wanted else (low, middle)
        )
    return tuple(share * high**i for i in range(1, k + 1))
