"""Replay of sampled answers with a drafter that samples too: what acceptance would have been on average over its draws.

A drafted token that equals the text's is accepted where a sampler of q met one of p there: given that the target said x, that has
the probability min(1, q(x) / p(x)), whose mean over x drawn from p is sum of min(p, q), one less the total variation (Leviathan et
al., arXiv 2211.17192). The text itself is such a draw, so its own tokens weigh each chain, and every place where a step can begin
is counted by the probability that one does.
"""

from __future__ import annotations

from collections.abc import Sequence

from drafts.replay.walk import WalkCounts


def expected_walk(
    weights: Sequence[Sequence[float]],
    prompt_tokens: int,
    length: int,
    k: int,
    max_model_len: int | None = None,
) -> WalkCounts:
    """Expected counts of one answer.

    Args:
        weights: (k or more, length). `weights[i][n]`: the probability that token i + 1 of a chain of drafts whose first stands in
            for token n is accepted, those before it being accepted.
        prompt_tokens: the answer's first token; a draft stands in for the second at the earliest.
        max_model_len: the server's longest sequence, which cuts drafts near it.
        length: tokens of prompt and answer. What lies behind them is not known and counts as not accepted.
    """
    begins = [0.0] * (length + k + 2)
    begins[prompt_tokens + 1] = 1.0
    accepted, beyond_end = [0.0] * k, [0.0] * k
    steps = drafts = drafted = 0.0
    for position in range(prompt_tokens + 1, length):
        visits = begins[position]
        steps += visits
        room = k if max_model_len is None else max(0, min(k, max_model_len - position - 1))
        drafts += visits if room else 0.0
        drafted += visits * room
        reached = visits
        for i in range(room):
            if position + i >= length:
                for behind in range(i, room):
                    beyond_end[behind] += reached
                break
            weight = weights[i][position]
            accepted[i] += reached * weight
            begins[position + i + 1] += reached * (1.0 - weight)
            reached *= weight
        else:
            begins[position + room + 1] += reached
    return WalkCounts(length - prompt_tokens, steps, drafts, drafted, accepted, beyond_end)
