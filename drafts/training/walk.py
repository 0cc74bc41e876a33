"""Simulated acceptance: from where a draft agrees with a text to what a server's counters would say of it.

For greedy traffic this is exact, near-ties aside: a drafted token is accepted where it is the text's next one, and a chain
of drafts goes on with the text's own tokens as long as it is accepted. So one pass over the text tells what each chain would
have had accepted, and the walk goes from step to step as decoding does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value", np.bool_, np.float64)


@dataclass(frozen=True, slots=True)
class Walked:
    """Counts of one answer or of many: steps that drafted, and how many of them had their first 1, 2, ... tokens accepted."""

    steps: int
    accepted_at: tuple[int, ...]

    @property
    def survival(self) -> tuple[float, ...]:
        """s_1 to s_k."""
        return tuple(n / self.steps for n in self.accepted_at) if self.steps else ()

    @property
    def acceptance_length(self) -> float:
        """1 + sum of s_i."""
        return 1.0 + sum(self.survival)


def walk_matches(matches: NDArray[np.bool_], first: int) -> Walked:
    """Walk one text.

    Args:
        matches: (k, tokens). `matches[i, n]`: draft token i + 1 of a chain whose first draft stands in for token n is the
            text's token n + i. Beyond the text's end nothing matches.
        first: the first token that may be drafted: the second of the answer, as the first comes from the prompt's pass.
    """
    k, length = matches.shape
    runs = np.cumprod(matches, axis=0).sum(axis=0)
    steps, at = 0, [0] * k
    token = first
    while token < length:
        accepted = int(runs[token])
        steps += 1
        for i in range(accepted):
            at[i] += 1
        token += accepted + 1
    return Walked(steps, tuple(at))


def together(walked: Iterable[Walked]) -> Walked:
    """All of them as one.

    Raises:
        ValueError: with none.
    """
    all_of_them = list(walked)
    if not all_of_them:
        raise ValueError("no answer was walked")
    at = [sum(column) for column in zip(*(one.accepted_at for one in all_of_them), strict=True)]
    return Walked(sum(one.steps for one in all_of_them), tuple(at))


def chain_matches(agrees: NDArray[Value], k: int) -> NDArray[Value]:
    """(k, tokens) of a draft model whose i-th draft is its own next token behind the text: agreement, shifted.

    Args:
        agrees: `agrees[n]`: behind the text's tokens before n the draft says token n; or with which probability it does.
    """
    padded = np.concatenate([agrees, np.zeros(k, dtype=agrees.dtype)])
    return np.stack([padded[i : i + len(agrees)] for i in range(k)])
