"""What a prefix cache would hit on given prompts: the number to hold against the server's own counters.

The rules are vLLM's (`KVCacheManager.get_computed_blocks`, `BlockPool`), for `vllm:prefix_cache_queries` and
`vllm:prefix_cache_hits`, which count tokens: a request queries all tokens of its prompt; it hits the longest
run of whole blocks from its beginning that are cached, never the block that holds its last token (that token
is computed again for its logits). A block is known by its tokens and all before them.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from loadtest.workloads.prompt import Prompt
from loadtest.workloads.token_blocks import TokenBlocks


@dataclass(frozen=True, slots=True)
class HitShare:
    """What the cache was asked for and what it had, in tokens."""

    requests: int
    queried_tokens: int
    hit_tokens: int
    block_tokens: int
    capacity_blocks: int | None  # None: nothing is ever evicted

    @property
    def share(self) -> float | None:
        """Hits / queries, to hold against the ratio of the server's counters; None if nothing was queried."""
        return self.hit_tokens / self.queried_tokens if self.queried_tokens else None


def implied_hit_share(
    prompts: Iterable[Prompt],
    *,
    block_tokens: int,
    capacity_blocks: int | None = None,
    drops_last_hit: bool = False,
) -> HitShare:
    """Hits of a cache that starts empty and sees the prompts in this order.

    Without `capacity_blocks` this is the most that any cache can hit. With it (the server's KV blocks less
    the one that vLLM keeps for itself), blocks are reused as vLLM does, least recently freed first and a
    request's last blocks before its first, but one request is finished before the next arrives: a real
    server, whose running requests hold their blocks, evicts sooner. `drops_last_hit`: with EAGLE and MTP
    heads vLLM computes the last block of a hit again.

    Raises:
        ValueError: if a prompt has no token ids, or needs more blocks than there are.
    """
    cache = _EndlessCache() if capacity_blocks is None else _LimitedCache(capacity_blocks)
    requests = queried = hits = 0
    for prompt in prompts:
        if prompt.token_ids is None:
            raise ValueError(f"{prompt.prompt_id} has no token ids: what a cache hits depends on the tokens")
        tokens = len(prompt.token_ids)
        names = list(_block_names(prompt.token_ids, block_tokens))
        found = cache.longest(names[: max(0, tokens - 1) // block_tokens])
        found = max(0, found - drops_last_hit)
        # The last token of an answer is never computed, so it takes no place.
        cache.hold(names, found, (tokens + (prompt.output_tokens or 1) - 1) / block_tokens)
        requests, queried, hits = requests + 1, queried + tokens, hits + found * block_tokens
    return HitShare(requests, queried, hits, block_tokens, capacity_blocks)


def _block_names(token_ids: Sequence[int], block_tokens: int) -> Iterator[bytes]:
    """One name for each whole block, equal for equal tokens up to its end only."""
    array = token_ids.array() if isinstance(token_ids, TokenBlocks) else np.asarray(token_ids, dtype=np.int64)
    raw, size = array.astype("<i8").tobytes(), block_tokens * 8
    name = b""
    for start in range(0, len(array) // block_tokens * size, size):
        name = hashlib.blake2b(name + raw[start : start + size], digest_size=16).digest()
        yield name


class _EndlessCache:
    def __init__(self) -> None:
        self._known: set[bytes] = set()

    def longest(self, names: Sequence[bytes]) -> int:
        """How many of the blocks, from the first on, are here."""
        return next((index for index, name in enumerate(names) if name not in self._known), len(names))

    def hold(self, names: Sequence[bytes], found: int, blocks: float) -> None:
        """Keep a request's blocks, of which `found` were here already and the last may be a part of one."""
        self._known.update(names[found:])


class _LimitedCache(_EndlessCache):
    """Blocks in the order in which they are taken for new content, the next one first."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._free: OrderedDict[int, bytes] = OrderedDict((block, b"") for block in range(capacity))
        self._blocks_of: dict[bytes, list[int]] = {}  # one content can stand in two blocks

    def longest(self, names: Sequence[bytes]) -> int:
        return next((index for index, name in enumerate(names) if name not in self._blocks_of), len(names))

    def hold(self, names: Sequence[bytes], found: int, blocks: float) -> None:
        count = math.ceil(blocks)
        if count > len(self._free):
            raise ValueError(f"a request needs {count} blocks; the cache has {len(self._free)}")
        held = [(self._blocks_of[name][0], name) for name in names[:found]]
        for block, _ in held:
            del self._free[block]
        for index in range(found, count):
            block, old = self._free.popitem(last=False)
            self._forget(block, old)
            # A whole block of the answer is kept too, but under a name that no prompt asks for.
            name = names[index] if index < len(names) else b""
            if name:
                self._blocks_of.setdefault(name, []).append(block)
            held.append((block, name))
        for index, (block, name) in reversed(list(enumerate(held))):
            self._free[block] = name
            if index + 1 > blocks:  # a part of a block can never be hit: it is the next to be taken
                self._free.move_to_end(block, last=False)

    def _forget(self, block: int, name: bytes) -> None:
        if name:
            self._blocks_of[name].remove(block)
            if not self._blocks_of[name]:
                del self._blocks_of[name]
