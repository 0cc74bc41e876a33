"""The n-gram drafter of vLLM 0.32 (v1/spec_decode/ngram_proposer.py), for a whole logged answer at once.

vLLM looks in the whole context for the longest n-gram, min_n <= n <= max_n, that equals the context's last n
tokens and stands earlier (overlapping itself or not); of several of that length it takes the *earliest*, and
drafts up to k tokens that follow it. It searches anew at each step. Here every n-gram of prompt and answer is
numbered once, so that each position knows its longest match and where that stood first: the whole answer in
O(tokens x max_n) sorted numbers, and the same table serves every k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NO_MATCH = -1


@dataclass(frozen=True, slots=True)
class NgramWindow:
    """Shortest and longest n-gram that is looked up, in tokens (prompt_lookup_min and prompt_lookup_max)."""

    shortest: int
    longest: int


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
        earliest = first[gram]
        repeated = earliest < np.arange(len(gram))
        if not repeated.any():
            break  # no longer n-gram can repeat either
        if n >= window.shortest:
            # Longer matches overwrite shorter ones; a context of j + n tokens ends with n-gram j.
            lengths = np.flatnonzero(repeated) + n
            found[lengths] = earliest[repeated] + n
    return found.tolist()


@dataclass(slots=True)
class NgramDrafter:
    """Drafts for one answer, from its table of matches."""

    tokens: list[int]
    ends: list[int]
    k: int
    max_model_len: int | None = None

    def draft(self, position: int) -> list[int]:
        """Up to k tokens that follow the match, never beyond the context or the model's length.

        The proposer leaves max_model_len - context; the scheduler then cuts one more, for the target's own token.
        """
        start = self.ends[position]
        if start == NO_MATCH:
            return []
        length = min(self.k, position - start)
        if self.max_model_len is not None:
            length = min(length, self.max_model_len - position - 1)
        return self.tokens[start : start + length] if length > 0 else []
