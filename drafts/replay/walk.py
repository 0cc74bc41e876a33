"""Walk one logged answer as greedy decoding with a drafter does, and count what would have been accepted.

The first token comes from the prompt's own pass. Then, step by step: a draft is made from prompt and answer so
far, the part of it that equals the log is accepted, and the walk goes on behind it and the target's own token.
A last draft may reach over the answer's end: a server judges all of it, counts what it accepts there, and cuts the
answer afterwards. What the target says there is in the log only where it was asked for. Where it is not, nobody knows:
such tokens are counted as not accepted, and apart as `beyond_end`, so that the reader sees by how much that can be
wrong at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Drafter(Protocol):
    """Drafts for one answer, asked at growing positions."""

    def draft(self, position: int) -> list[int]:
        """Token ids drafted when `position` tokens (prompt and answer) are known."""


@dataclass(frozen=True, slots=True)
class WalkCounts:
    """What one answer comes to. All lists have length k; position i is index i - 1.

    Whole numbers, but for the mean over a drafter's draws (`drafts.replay.expected`).
    """

    output_tokens: int
    steps: float  # decode steps, undrafted ones included; the prompt's own pass is none
    drafts: float  # steps in which something was drafted
    drafted_tokens: float
    accepted: Sequence[float]  # drafts whose first i tokens were all accepted
    beyond_end: Sequence[
        float
    ]  # drafts that were right up to the log's end, and whose token i lies behind it
    made_beyond: int = 0  # tokens that the last step made behind the answer's end, the target's own included

    @property
    def accepted_tokens(self) -> float:
        """Drafted tokens that the target would have kept."""
        return sum(self.accepted)


def walk(
    tokens: list[int], prompt_tokens: int, drafter: Drafter, k: int, beyond: Sequence[int] = ()
) -> WalkCounts:
    """Count one answer.

    `tokens` is prompt and answer in one, the answer begins at `prompt_tokens`; `beyond` is what the target says next.
    """
    end = len(tokens)
    said = [*tokens, *beyond]
    position = prompt_tokens + 1
    steps = drafts = drafted = 0
    ending_at = [0] * (k + 1)  # drafts by their number of accepted tokens
    beyond_end = [0] * k
    while position < end:
        steps += 1
        draft = drafter.draft(position)
        if not draft:
            position += 1
            continue
        drafts += 1
        drafted += len(draft)
        known = said[position : position + len(draft)]
        matched = 0
        for guess, right in zip(draft, known, strict=False):
            if guess != right:
                break
            matched += 1
        ending_at[matched] += 1
        if matched == len(known):
            for index in range(matched, len(draft)):
                beyond_end[index] += 1
        position += matched + 1
    accepted = [sum(ending_at[i:]) for i in range(1, k + 1)]
    made_beyond = max(0, position - end)
    return WalkCounts(end - prompt_tokens, steps, drafts, drafted, accepted, beyond_end, made_beyond)
