"""Whether held-out prompts stand in the training ones: what a draft has seen says nothing of what it will see.

Prompts are compared by their n-grams of token ids. What more than half of all training prompts share is their template
(a chat's preamble) and no leak. Memory is that of the held-out prompts; training prompts pass by one at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accounting.errors import ConfigError

NGRAM = 8
#: Share of a held-out prompt's n-grams that may stand in training prompts.
MAX_OVERLAP = 0.5
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Overlap:
    """Of one held-out prompt: the share of its n-grams, templates left out, that stand in training prompts."""

    id: str
    share: float


def overlaps(
    held_out: Sequence[tuple[str, Sequence[int]]], trained: Iterable[Sequence[int]], *, ngram: int = NGRAM
) -> list[Overlap]:
    """The overlap of each held-out prompt, (id, token ids), with all training prompts together.

    A prompt shorter than an n-gram counts as one; one that is all template overlaps nothing.
    """
    own = [np.unique(_ngrams(tokens, ngram)) for _, tokens in held_out]
    known = np.unique(np.concatenate(own)) if own else np.zeros(0, dtype=np.uint64)
    seen_in = np.zeros(len(known), dtype=np.int64)
    prompts = 0
    for tokens in trained:
        prompts += 1
        seen_in[np.isin(known, _ngrams(tokens, ngram))] += 1
    template = seen_in * 2 > max(prompts, 2)
    found = []
    for (name, _), grams in zip(held_out, own, strict=True):
        at = np.searchsorted(known, grams)
        at = at[~template[at]]
        found.append(Overlap(name, float((seen_in[at] > 0).mean()) if len(at) else 0.0))
    return found


def refuse_leaks(found: Sequence[Overlap], *, bound: float = MAX_OVERLAP) -> None:
    """Refuse a split that leaks.

    Raises:
        ConfigError: naming the held-out prompts that overlap more than the bound allows.
    """
    leaking = sorted((one for one in found if one.share > bound), key=lambda one: -one.share)
    if leaking:
        named = ", ".join(f"{one.id} ({one.share:.0%})" for one in leaking[:_NAMED])
        more = f" and {len(leaking) - _NAMED} more" if len(leaking) > _NAMED else ""
        raise ConfigError(
            f"{len(leaking)} of {len(found)} held-out prompts stand in the training prompts by more than {bound:.0%} of "
            f"their {NGRAM}-grams: {named}{more}.",
            hint="A draft would be judged on what it has learned. Split by template, as `kilotoken collect` does, or leave "
            "these out.",
        )


def _ngrams(tokens: Sequence[int], ngram: int) -> NDArray[np.uint64]:
    """A 64-bit number for each n-gram (polynomial, modulo 2^64)."""
    ids = np.asarray(tokens, dtype=np.uint64) + np.uint64(1)
    size = min(ngram, len(ids))
    powers = np.array([pow(0x9E3779B97F4A7C15, i, 1 << 64) for i in range(size)], dtype=np.uint64)
    windows = np.lib.stride_tricks.sliding_window_view(ids, size)
    with np.errstate(over="ignore"):
        return (windows * powers).sum(axis=1, dtype=np.uint64)
