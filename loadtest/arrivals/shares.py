"""Which of all arrivals or streams a process takes: number j belongs to process j mod P.

Every process makes the whole schedule and walks its own part, so that nothing has to be sent around and one
process or eight give the same requests at the same times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def own_share(items: Iterable[Item], *, worker: int, workers: int) -> Iterator[Item]:
    """What `worker` (from 0) of `workers` takes, in order; endless where `items` are.

    Raises:
        ValueError: if there is no such worker.
    """
    if not 0 <= worker < workers:
        raise ValueError(f"worker {worker} of {workers} does not exist")
    return islice(items, worker, None, workers)
