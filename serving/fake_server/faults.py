"""Which request gets which fault: the kinds of rule and the counting that decides.

A rule applies to one request (`on_request`, from 1), to each n-th (`every`), to a seeded `share` (0 to 1), or
with none of these to all. `path` narrows it to one path; requests are counted per rule, on its own paths.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import ClassVar, Literal

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


class StatusFault(FaultRule, frozen=True, tag="status"):
    """Answer with this HTTP status and an error body; `retry_after_s` adds a Retry-After header."""

    status: int
    retry_after_s: float | None = None


class GarbageFault(FaultRule, frozen=True, tag="garbage"):
    """Bytes that are not the protocol: instead of HTTP, or as one stream event that is not JSON."""

    where: Literal["http", "event"] = "http"
    after_chunks: int = 1


class TruncateFault(FaultRule, frozen=True, tag="truncate"):
    """Close after n chunks, without `[DONE]`; `ends_body` closes the HTTP body properly all the same."""

    after_chunks: int = 1
    ends_body: bool = False


class ResetFault(FaultRule, frozen=True, tag="reset"):
    """Reset the TCP connection after n chunks."""

    after_chunks: int = 1


class StallFault(FaultRule, frozen=True, tag="stall"):
    """Generate nothing for `stall_s` seconds before chunk n (from 1); later chunks are that much later."""

    stall_s: float
    before_chunk: int = 2


class ErrorEventFault(FaultRule, frozen=True, tag="error_event"):
    """End the stream after n chunks with an error event, then `[DONE]`, as vLLM does."""

    after_chunks: int = 1
    message: str = "EngineCore encountered an issue."


class DieFault(FaultRule, frozen=True, tag="die"):
    """End the process at once after n chunks."""

    after_chunks: int = 1
    exit_code: int = 1


class WrongUsageFault(FaultRule, frozen=True, tag="wrong_usage"):
    """State more completion tokens in `usage` than were sent."""

    extra_tokens: int = 1


class HangFault(FaultRule, frozen=True, tag="hang"):
    """Take the request and never answer."""


class MetricsMissingFault(FaultRule, frozen=True, tag="metrics_missing"):
    """Leave these metrics out of /metrics, by family name; with no names the whole page is not found."""

    default_paths: ClassVar[tuple[str, ...]] = ("/metrics",)

    names: tuple[str, ...] = ()


class SlowMetricsFault(FaultRule, frozen=True, tag="slow_metrics"):
    """Answer /metrics only after `delay_s` seconds."""

    default_paths: ClassVar[tuple[str, ...]] = ("/metrics",)

    delay_s: float


class NotReadyFault(FaultRule, frozen=True, tag="not_ready"):
    """Answer /health with 503 for the first `for_s` seconds of the server's life."""

    default_paths: ClassVar[tuple[str, ...]] = ("/health",)

    for_s: float


AnyFault = (
    StatusFault | GarbageFault | TruncateFault | ResetFault | StallFault | ErrorEventFault | DieFault
    | WrongUsageFault | HangFault | MetricsMissingFault | SlowMetricsFault | NotReadyFault
)  # fmt: skip
KINDS: Mapping[str, type[FaultRule]] = {
    str(rule.__struct_config__.tag): rule for rule in FaultRule.__subclasses__()
}


class FaultScript(msgspec.Struct, frozen=True):
    """The rules in order; every rule that applies to a request takes part."""

    rules: tuple[AnyFault, ...] = ()


class FaultDraw:
    """Counts the requests that each rule covers and says which faults the next one gets."""

    def __init__(self, script: FaultScript, seed: int) -> None:
        self._rules = script.rules
        self._seed = seed
        self._counts = [0] * len(script.rules)

    def next_faults(self, path: str) -> tuple[AnyFault, ...]:
        """The faults of one more request to `path`."""
        drawn = []
        for index, rule in enumerate(self._rules):
            if rule.covers(path):
                self._counts[index] += 1
                if rule.applies(self._counts[index], f"{self._seed} {index}"):
                    drawn.append(rule)
        return tuple(drawn)
