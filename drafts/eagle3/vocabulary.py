"""Which tokens a head can draft: the most frequent ones of the answers, and those that end or structure them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: A token that is not in the vocabulary ends every run of accepted drafts.
ASKED_COVERAGE = 0.985


@dataclass(frozen=True, slots=True)
class DraftVocabulary:
    """`target_ids[i]` is the target's number of the draft's token i, rising."""

    target_ids: NDArray[np.int64]

    @property
    def offsets(self) -> NDArray[np.int64]:
        """vLLM's `d2t`: target id = i + d2t[i]."""
        return self.target_ids - np.arange(len(self.target_ids))

    def membership(self, target_vocabulary: int) -> NDArray[np.bool_]:
        """`t2d`: whether the draft knows a token of the target."""
        known = np.zeros(target_vocabulary, dtype=bool)
        known[self.target_ids] = True
        return known

    def coverage(self, counts: NDArray[np.int64]) -> float:
        """Share of so many tokens of a text, counted by the target's numbers, that can be drafted at all."""
        total = int(counts.sum())
        return float(counts[self.target_ids].sum() / total) if total else 0.0


def count_tokens(answers: Iterable[Sequence[int]], target_vocabulary: int) -> NDArray[np.int64]:
    """How often each of the target's tokens stands in the answers."""
    counts = np.zeros(target_vocabulary, dtype=np.int64)
    for answer in answers:
        counts += np.bincount(np.asarray(answer, dtype=np.int64), minlength=target_vocabulary)
    return counts


def choose_vocabulary(
    trained: NDArray[np.int64], heldout: NDArray[np.int64], *, always: Iterable[int], sizes: Sequence[int]
) -> DraftVocabulary:
    """The smallest of the sizes whose tokens, chosen by the training answers, cover the held-out ones well enough; the
    largest where none does.

    Args:
        trained, heldout: counts by the target's numbers.
        always: tokens that are in it whatever their count: ends of text, special ones.

    Raises:
        ValueError: with no size, or one that is too small for `always`.
    """
    needed, best = sorted(set(always)), None
    for size in sorted(sizes):
        if size < len(needed):
            raise ValueError(f"a draft vocabulary of {size} is too small: {len(needed)} tokens must be in it")
        best = _most_frequent(trained, needed, size)
        if best.coverage(heldout) >= ASKED_COVERAGE:
            break
    if best is None:
        raise ValueError("no size of a draft vocabulary was given")
    return best


def _most_frequent(counts: NDArray[np.int64], always: Sequence[int], size: int) -> DraftVocabulary:
    ranked = counts.astype(np.float64)
    ranked[list(always)] = np.inf
    # Equal counts: the lower number first, so that the same answers give the same vocabulary everywhere.
    chosen = np.lexsort((np.arange(len(counts)), -ranked))[: min(size, len(counts))]
    return DraftVocabulary(np.sort(chosen).astype(np.int64))
