"""Which templates a share of them means: chosen by hash, so that neither order nor later additions move one."""

from __future__ import annotations

import hashlib
from collections.abc import Collection


def chosen_by_hash(names: Collection[str], share: float, *, salt: str = "") -> set[str]:
    """About that share of the names; at least one, and where there are two or more never all.

    The choice of a name depends on the name and the salt alone, but for the one that keeps a side from being empty.
    """
    rank = {name: int(hashlib.sha256((salt + name).encode()).hexdigest()[:16], 16) / 2**64 for name in names}
    chosen = {name for name, place in rank.items() if place < share}
    chosen.add(min(rank, key=lambda name: rank[name]))
    if len(chosen) == len(rank) > 1:
        chosen.remove(max(rank, key=lambda name: rank[name]))
    return chosen
