"""Which beginnings of prompts the fake server's prefix cache holds: whole blocks, each known by its tokens and all before it.

As in vLLM: a prompt hits the longest run of cached blocks from its beginning, never the block with its last token, and
prompts of another salt share nothing.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence


class PrefixBlocks:
    """A cache that evicts nothing."""

    def __init__(self, block_tokens: int) -> None:
        self._block_tokens = block_tokens
        self._known: set[bytes] = set()

    def names(self, prompt: Sequence[int], salt: str) -> tuple[bytes, ...]:
        """One name per whole block of the prompt, equal for equal salt and equal tokens up to its end only."""
        tokens, size = array("q", prompt), self._block_tokens
        name, names = salt.encode(), []
        for end in range(size, len(tokens) + 1, size):
            name = hashlib.blake2b(name + tokens[end - size : end].tobytes(), digest_size=16).digest()
            names.append(name)
        return tuple(names)

    def hit_tokens(self, names: Sequence[bytes], prompt_tokens: int) -> int:
        """Tokens of the prompt with these blocks that need no computing now."""
        can_hit = names[: (prompt_tokens - 1) // self._block_tokens]
        found = next((i for i, name in enumerate(can_hit) if name not in self._known), len(can_hit))
        return found * self._block_tokens

    def remember(self, names: Sequence[bytes]) -> None:
        """Keep the blocks of a computed prompt."""
        self._known.update(names)

    def forget(self) -> None:
        """Empty the cache."""
        self._known.clear()
