"""When a fault applies: to one request, to each n-th, to a seeded share, or to all.

A rule applies to one request (`on_request`, from 1), to each n-th (`every`), to a seeded `share` (0 to 1), or
with none of these to all. `path` narrows it to one path; requests are counted per rule, on its own paths.
"""

from __future__ import annotations

import random
from typing import ClassVar

import msgspec

GENERATION_PATHS = ("/v1/chat/completions", "/v1/completions")


class FaultRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every rule can say: when it applies. Chunk counts below are of chunks that carry tokens."""

    default_paths: ClassVar[tuple[str, ...]] = GENERATION_PATHS

    on_request: int | None = None
    every: int | None = None
    share: float | None = None
    path: str | None = None

    def covers(self, path: str) -> bool:
        """Whether requests to `path` are counted by this rule."""
        return path == self.path if self.path is not None else path in self.default_paths

    def applies(self, number: int, rng_name: str) -> bool:
        """Whether the `number`-th request covered (from 1) gets the fault; `rng_name` seeds the share."""
        if self.on_request is not None:
            return number == self.on_request
        if self.every is not None:
            return number % self.every == 0
        if self.share is not None:
            return random.Random(f"{rng_name} {number}").random() < self.share
        return True
