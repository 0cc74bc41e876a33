"""Replay of a drafter that is a model: how many of its tokens agree with the text is known at every position beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drafts.replay.expected import expected_walk
from drafts.replay.traces import Trace
from drafts.replay.walk import WalkCounts, walk

#: No token has this number: a draft that is wrong from here on.
_WRONG = -1


class MatchedDrafter:
    """Drafts k tokens at every position, of which the first `runs[position]` are the text's own and the others are not."""

    def __init__(self, said: Sequence[int], runs: Sequence[int], k: int, max_model_len: int | None) -> None:
        self._said, self._runs, self._k, self._longest = said, runs, k, max_model_len

    def draft(self, position: int) -> list[int]:
        """Token ids drafted when `position` tokens are known; none where the model's longest sequence leaves no room."""
        room = self._k if self._longest is None else min(self._k, self._longest - position - 1)
        if room <= 0:
            return []
        right = min(self._runs[position] if position < len(self._runs) else 0, room)
        return [*self._said[position : position + right], *[_WRONG] * (room - right)]


@dataclass(frozen=True, slots=True)
class Known:
    """What a model's pass over one answer says: `runs` for a draft that takes its likeliest tokens, `weights` for one that draws.

    runs: for each token of prompt, answer and what is known beyond, how many tokens of a chain of drafts whose first stands in
        for it agree with the text, up to the largest k.
    weights: see `drafts.replay.expected`.
    """

    runs: Sequence[int] = ()
    weights: Sequence[Sequence[float]] = ()


def replay_matched(
    traces: Sequence[Trace],
    known: Sequence[Known],
    ks: Sequence[int],
    max_model_len: int | None = None,
) -> dict[int, list[WalkCounts]]:
    """Counts by k."""
    counts: dict[int, list[WalkCounts]] = {k: [] for k in ks}
    for trace, own in zip(traces, known, strict=True):
        tokens = trace.prompt_token_ids + trace.output_token_ids
        prompt_tokens = len(trace.prompt_token_ids)
        said = tokens + trace.beyond_token_ids
        for k in ks:
            if own.weights:
                counts[k].append(expected_walk(own.weights, prompt_tokens, len(tokens), k, max_model_len))
                continue
            drafter = MatchedDrafter(said, own.runs, k, max_model_len)
            counts[k].append(walk(tokens, prompt_tokens, drafter, k, trace.beyond_token_ids))
    return counts
