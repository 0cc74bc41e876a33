"""The policies that a plan looks at: every drafter at every k, then of the best of them other batchings and a limit to drafting.

Nothing lies beyond what was measured: no k above the profile's largest, no more sequences in a step than its most streams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from accounting.planning.drafting_yield import OFF, DraftingYield
from accounting.planning.queue_simulation import Policy
from workbench.planning.profile_file import arm_name
from workbench.planning.replayed_yields import Yields

#: Other budgets that are looked at: a small one protects TPOT from long prompts.
BATCHED_TOKENS = (256, 512)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A policy, and the sections of a server configuration that make it."""

    name: str
    policy: Policy
    speculation: Mapping[str, Any]
    batching: Mapping[str, Any]

    @property
    def sections(self) -> dict[str, Any]:
        """As a server configuration has them."""
        return {"speculation": dict(self.speculation), "batching": dict(self.batching)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`streams`: the most that were measured. `kv_tokens`: room in the cache, by drafter and k.

    `batching`: the profile's own section, `batched_tokens` what the engine resolved. Every candidate says both seats and tokens of
    a step, so that what is served is what was simulated.
    """

    streams: int
    kv_tokens: Callable[[str, int], float]
    batching: Mapping[str, Any]
    batched_tokens: int

    @property
    def seats(self) -> int:
        """Most sequences in a step: as the profile says, and no more than were measured."""
        return min(self.streams, self.batching.get("max_num_seqs") or self.streams)

    @property
    def whole_batching(self) -> dict[str, Any]:
        """The section with both."""
        both = {"max_num_seqs": self.seats, "max_num_batched_tokens": self.batched_tokens}
        return {**self.batching, **both}


def method_candidates(
    yields: Mapping[str, Yields], sections: Mapping[str, Mapping[str, Any]], limits: Limits
) -> dict[str, Candidate]:
    """No drafting, and every drafter at every k that was replayed."""
    off = Candidate(
        name=OFF,
        policy=_policy({}, OFF, 0, limits),
        speculation={"method": OFF},
        batching=limits.whole_batching,
    )
    found = {OFF: off}
    for drafter, by_k in yields.items():
        for k, by_class in by_k.items():
            name = arm_name(drafter, k)
            found[name] = Candidate(
                name=name,
                policy=_policy(by_class, drafter, k, limits),
                speculation={**sections[drafter], "num_speculative_tokens": k},
                batching=limits.whole_batching,
            )
    return found


def _policy(by_class: Mapping[str, DraftingYield], drafter: str, k: int, limits: Limits) -> Policy:
    return Policy(
        drafting=dict(by_class),
        max_num_seqs=limits.seats,
        max_num_batched_tokens=limits.batched_tokens,
        kv_tokens=limits.kv_tokens(drafter, k),
    )


def refined(candidate: Candidate, pays_up_to: int | None) -> dict[str, Candidate]:
    """The same drafting with fewer seats, with smaller steps, and only up to so many sequences.

    Args:
        pays_up_to: most sequences at which drafting pays; None where it always does, or never.
    """
    return {one.name: one for one in (candidate, *_refinements(candidate, pays_up_to))}


def _refinements(candidate: Candidate, pays_up_to: int | None) -> Iterator[Candidate]:
    policy = candidate.policy
    seats = policy.max_num_seqs
    while (seats := seats // 2) >= 2:
        yield _with_batching(candidate, f"{seats} seats", "max_num_seqs", seats)
    for tokens in BATCHED_TOKENS:
        if tokens < policy.max_num_batched_tokens:
            yield _with_batching(candidate, f"{tokens} tokens a step", "max_num_batched_tokens", tokens)
    if pays_up_to is not None and policy.drafting:
        k = candidate.speculation["num_speculative_tokens"]
        schedule = [[1, pays_up_to, k], [pays_up_to + 1, policy.max_num_seqs, 0]]
        yield replace(
            candidate,
            name=f"{candidate.name}, up to {pays_up_to} sequences",
            policy=replace(policy, drafts_up_to=pays_up_to),
            speculation={**candidate.speculation, "num_speculative_tokens_per_batch_size": schedule},
        )


def _with_batching(candidate: Candidate, words: str, key: str, value: int) -> Candidate:
    policy = (
        replace(candidate.policy, max_num_seqs=value)
        if key == "max_num_seqs"
        else replace(candidate.policy, max_num_batched_tokens=value)
    )
    return replace(
        candidate,
        name=f"{candidate.name}, {words}",
        policy=policy,
        batching={**candidate.batching, key: value},
    )
