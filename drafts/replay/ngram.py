"""The n-gram drafters of vLLM 0.32, for a whole logged answer at once.

vLLM looks in the whole context for the longest n-gram, min_n <= n <= max_n, that equals the context's last n
tokens and stands earlier (overlapping itself or not). It has two of them, and they draft differently:

- model runner V1 (v1/spec_decode/ngram_proposer.py; CPU): of several places of that length the *earliest*, and up
  to k tokens that follow it; without a match no draft.
- model runner V2 (v1/worker/gpu/spec_decode/ngram/speculator.py; CUDA with Triton, unless something else asked for
  needs V1): the *latest* place, and always k tokens: where none follow, or nothing matches, the last token again.

vLLM searches anew at each step. Here every n-gram of prompt and answer is numbered once, so that each position knows
its longest match and where that stood: the whole answer in O(tokens x max_n) sorted numbers, and the same table
serves every k.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

NO_MATCH = -1


class Runner(StrEnum):
    """vLLM's model runners, each with an n-gram drafter of its own."""

    V1 = "v1"
    V2 = "v2"


@dataclass(frozen=True, slots=True)
class NgramWindow:
    """Shortest and longest n-gram that is looked up, in tokens (prompt_lookup_min and prompt_lookup_max), and by whom."""

    shortest: int
    longest: int
    runner: Runner = Runner.V1


def match_ends(tokens: npt.NDArray[np.int64], window: NgramWindow) -> list[int]:
    """For each context length 0..len(tokens): the position behind the n-gram that vLLM finds, or NO_MATCH."""
    found = np.full(len(tokens) + 1, NO_MATCH, dtype=np.int64)
    _, single = np.unique(tokens, return_inverse=True)
    gram = single  # gram[j] numbers the n-gram that ends with token j + n - 1
    for n in range(1, min(window.longest, len(tokens)) + 1):
        if n > 1:
            # An n-gram is an (n-1)-gram and one more token: two numbers below 2**31 make one below 2**62.
            gram = gram[:-1] * (len(tokens) + 1) + single[n - 1 :]
        _, first, gram = np.unique(gram, return_index=True, return_inverse=True)
        place = first[gram] if window.runner is Runner.V1 else _place_before(gram)
        repeated = (place >= 0) & (place < np.arange(len(gram)))
        if not repeated.any():
            break  # no longer n-gram can repeat either
        if n >= window.shortest:
            # Longer matches overwrite shorter ones; a context of j + n tokens ends with n-gram j.
            lengths = np.flatnonzero(repeated) + n
            found[lengths] = place[repeated] + n
    return found.tolist()


def _place_before(gram: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each number stood last before; -1 where it comes for the first time."""
    order = np.argsort(gram, kind="stable")
    again = gram[order[1:]] == gram[order[:-1]]
    before = np.full(len(gram), -1, dtype=np.int64)
    before[order[1:][again]] = order[:-1][again]
    return before


@dataclass(slots=True)
class NgramDrafter:
    """Drafts for one answer, from its table of matches."""

    tokens: list[int]
    ends: list[int]
    k: int
    max_model_len: int | None = None
    runner: Runner = Runner.V1

    def draft(self, position: int) -> list[int]:
        """Up to k tokens that follow the match, never beyond the context or the model's length.

        The proposer leaves max_model_len - context; the scheduler then cuts one more, for the target's own token.
        """
        start, length = self.ends[position], self.k
        if self.max_model_len is not None:
            length = max(0, min(length, self.max_model_len - position - 1))
        following = [] if start == NO_MATCH else self.tokens[start : min(start + length, position)]
        if self.runner is Runner.V1:
            return following
        return following + [self.tokens[position - 1]] * (length - len(following))
