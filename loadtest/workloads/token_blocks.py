"""Which token ids a synthetic prompt consists of: blocks, each named by a key and made when it is read.

The same key gives the same tokens at the same position, always: two prompts that begin with the same keys
begin with the same tokens, and a shorter block is the beginning of a longer one of its key. Nothing is
stored but keys and lengths, so a trace of 145 million tokens is a few megabytes.

Keys of prompts to be measured are 0 or above, those of warm-up prompts below 0. Their tokens come from parts
of the source that do not overlap: no warm-up prompt can leave a block in a cache that a measured one finds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, overload

import numpy as np
from numpy.typing import NDArray

from accounting.errors import ConfigError

#: A vocabulary that nearly every model's includes.
DEFAULT_VOCABULARY = 32_000
WARM_UP_PART = 8  # one in so many tokens of the source belongs to the warm-up
_SMALLEST_VOCABULARY = 64
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class TokenSource(Protocol):
    """Where the tokens of blocks come from."""

    def ids(self, keys: Sequence[int], lengths: Sequence[int]) -> NDArray[np.int64]:
        """The tokens of blocks `keys` of so many `lengths` tokens, one after the other."""


@dataclass(frozen=True, slots=True)
class TokenBlocks(Sequence[int]):
    """The token ids of one prompt, made anew at each reading: take `list(...)` of it once."""

    source: TokenSource
    keys: tuple[int, ...]
    lengths: tuple[int, ...]  # tokens of each block

    def array(self) -> NDArray[np.int64]:
        """All ids, shape (tokens,)."""
        return self.source.ids(self.keys, self.lengths)

    def __len__(self) -> int:
        """Number of tokens."""
        return sum(self.lengths)

    def __iter__(self) -> Iterator[int]:
        """The ids as plain integers."""
        return iter(self.array().tolist())

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> list[int]: ...
    def __getitem__(self, index: int | slice) -> int | list[int]:
        """One id, or the ids of a slice."""
        found = self.array()[index]
        return [int(token) for token in found] if isinstance(found, np.ndarray) else int(found)


def safe_id_range(vocabulary: int) -> tuple[int, int]:
    """The ids (first, end) between those that tokenizers give to special and byte tokens, at both ends.

    Raises:
        ConfigError: if the vocabulary is too small to draw from.
    """
    if vocabulary < _SMALLEST_VOCABULARY:
        raise ConfigError(
            f"vocab={vocabulary}: at least {_SMALLEST_VOCABULARY} token ids are needed to draw prompts from.",
            hint="Give the vocabulary size of the served model (`vocab_size` in its config.json).",
        )
    margin = min(1000, vocabulary // 8)
    return margin, vocabulary - margin


@dataclass(frozen=True, slots=True)
class DrawnTokens:
    """Ids drawn from a safe range of the vocabulary: no text that anybody wrote."""

    seed: int  # 64 bits
    first_id: int
    end_id: int

    @classmethod
    def seeded(cls, vocabulary: int, *, name: str, seed: int) -> DrawnTokens:
        """The source of one workload: the same tokens for the same name, seed and vocabulary."""
        digest = hashlib.sha256(f"kilotoken/tokens/{name}/{seed}".encode()).digest()
        return cls(int.from_bytes(digest[:8], "little"), *safe_id_range(vocabulary))

    def ids(self, keys: Sequence[int], lengths: Sequence[int]) -> NDArray[np.int64]:
        """See `TokenSource`. Warm-up keys draw from the first eighth of the range, others from the rest."""
        split = self.first_id + (self.end_id - self.first_id) // WARM_UP_PART
        return spread(self.seed, keys, lengths, warm_up=(self.first_id, split), measured=(split, self.end_id))


def spread(
    seed: int,
    keys: Sequence[int],
    lengths: Sequence[int],
    *,
    warm_up: tuple[int, int],
    measured: tuple[int, int],
) -> NDArray[np.int64]:
    """Numbers that look random but depend on seed, key and position alone, in their key's range (first, end).

    The generator is SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014),
    used as a hash of its counter: any block can be made without the ones before it.
    """
    repeats = np.asarray(lengths, dtype=np.int64)
    starts = np.repeat(np.cumsum(repeats) - repeats, repeats)
    position = (np.arange(int(repeats.sum()), dtype=np.int64) - starts).astype(np.uint64)
    signed = np.asarray(keys, dtype=np.int64)
    block_seed = _mixed(signed.astype(np.uint64) * _GOLDEN + np.uint64(seed))
    drawn = _mixed(np.repeat(block_seed, repeats) + position * _GOLDEN) >> np.uint64(33)
    low, high = (
        np.repeat(np.where(signed < 0, warm_up[end], measured[end]).astype(np.uint64), repeats)
        for end in (0, 1)
    )
    return (low + drawn % (high - low)).astype(np.int64)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
