"""Were more prompt tokens found in the prefix cache than the cell's own prompts can have put there?

A reset that says `success` is a claim; the counters are evidence. Every block that a cell hits was computed either by
one of its own requests or before it began. How many its own can explain at most follows from their tokens: of each
distinct block the first request that has it must compute it (`loadtest.workloads.prefix_hits`, prompts in the order of
their length, which no other order exceeds). One token more is proof that the cache was warm.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixHits:
    """What was hit from the idle server before a cell to the idle server after it, in tokens.

    `most_tokens` is what the cell's own prompts explain. `reason` is the finding, empty where there is none;
    `not_judged` says why there is no judgement, empty where there is one.
    """

    hit_tokens: int | None = None
    most_tokens: int | None = None
    reason: str = ""
    not_judged: str = ""


def judge_prefix_hits(
    *, hit_tokens: float, queried_tokens: float, explained_tokens: int, prompt_tokens: int
) -> PrefixHits:
    """Hold the counters against the prompts.

    Args:
        hit_tokens: increase of the server's hits.
        queried_tokens: increase of its queries.
        explained_tokens: the most that the cell's own prompts can hit.
        prompt_tokens: sum of the answered requests' prompts.

    Queries beyond the prompts are requests that asked the cache again (a server that counts preempted ones does, vLLM
    0.32 does not); they may have found all of their own blocks.
    """
    hits = round(hit_tokens)
    most = explained_tokens + max(0, round(queried_tokens) - prompt_tokens)
    if hits <= most:
        return PrefixHits(hit_tokens=hits, most_tokens=most)
    return PrefixHits(
        hit_tokens=hits,
        most_tokens=most,
        reason=f"the prefix cache was warm: {hits} prompt tokens were hit, and the prompts of this cell explain "
        f"{most} at most, whatever the reset said",
    )
