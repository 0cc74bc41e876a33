"""Greedy texts held side by side: where two of them part, by how much margin, and how far a margin moves by itself.

Behind a divergence two texts have different prefixes, so that nothing is compared there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import numpy.typing as npt

Other = tuple[int, float]
"""Another token that could have been chosen, and its gap: by how many nats it is less likely than the chosen one."""


@dataclass(frozen=True, slots=True)
class GreedyText:
    """One greedy answer. Per position the chosen token, and the likeliest other ones, the runner-up first.

    A gap below zero says that the other token was likelier, so that the choice was not greedy.
    """

    token_ids: tuple[int, ...]
    others: tuple[tuple[Other, ...], ...]

    def __post_init__(self) -> None:
        if not len(self.token_ids) == len(self.others) > 0 or not all(self.others):
            raise ValueError("a greedy text needs tokens, and for each at least one other with its gap")

    def margin(self, position: int) -> float:
        """The top-2 margin in nats: the gap of the runner-up."""
        return self.others[position][0][1]

    def gap(self, position: int, token_id: int | None) -> float | None:
        """The gap of a token in nats, zero for the chosen one; None where the server did not list it."""
        if token_id == self.token_ids[position]:
            return 0.0
        return next((gap for other, gap in self.others[position] if other == token_id), None)


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where a text first leaves the baseline's (positions from 0), and whether the baseline's noise explains it.

    `token_id` is None where it ended before the baseline did; `gap_nats` is None where the baseline did not list it
    among its likeliest tokens. `excused`: the baseline's gap of that token is at most the noise threshold, so its
    margin is, too. The token is the runner-up or one as near: at a tie of three each is a greedy answer.
    """

    prompt: int
    position: int
    baseline_token_id: int | None
    token_id: int | None
    margin_nats: float | None
    gap_nats: float | None
    excused: bool


def shared_tokens(a: GreedyText, b: GreedyText) -> int:
    """How many tokens the two texts begin with in common."""
    pairs = zip(a.token_ids, b.token_ids, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def divergence_at(
    number: int, position: int, baseline: GreedyText, other: GreedyText, threshold_nats: float
) -> Divergence:
    """The divergence of the texts of prompt `number` at `position`, judged by the threshold."""
    theirs = other.token_ids[position] if position < len(other.token_ids) else None
    if position >= len(baseline.token_ids):  # it went on where the baseline ended
        return Divergence(number, position, None, theirs, None, None, excused=False)
    gap = baseline.gap(position, theirs)
    return Divergence(
        prompt=number,
        position=position,
        baseline_token_id=baseline.token_ids[position],
        token_id=theirs,
        margin_nats=baseline.margin(position),
        gap_nats=gap,
        excused=gap is not None and gap <= threshold_nats,
    )


def margin_noise(
    first: Sequence[GreedyText], second: Sequence[GreedyText], *, flips: bool = True
) -> npt.NDArray[np.float64]:
    """|change of the margin between the same two tokens after the same prefix| in nats, shape (positions,).

    The two are what the first pass chose, and what the second chose instead, else the first's runner-up. A position
    where the second pass did not list both says nothing and is left out; so are those where the two chose differently,
    without `flips`.
    """
    found: list[float] = []
    for a, b in zip(first, second, strict=True):
        for at in range(min(shared_tokens(a, b) + flips, len(a.token_ids), len(b.token_ids))):
            chosen = a.token_ids[at]
            against = b.token_ids[at] if b.token_ids[at] != chosen else a.others[at][0][0]
            before, of_chosen, of_other = a.gap(at, against), b.gap(at, chosen), b.gap(at, against)
            if before is not None and of_chosen is not None and of_other is not None:
                found.append(abs(of_other - of_chosen - before))
    return np.asarray(found, dtype=np.float64)
