"""Faults in place of an answer, and those of the pages beside the answers."""

from __future__ import annotations

from typing import ClassVar, Literal

from serving.fake_server.fault_rule import FaultRule


class StatusFault(FaultRule, frozen=True, tag="status"):
    """Answer with this HTTP status and an error body; `retry_after_s` adds a Retry-After header.

    The header gives seconds or an HTTP date (whole seconds from now). The body is JSON in OpenAI's form, a
    proxy's HTML page, the JSON compressed with gzip, or nothing.
    """

    status: int
    retry_after_s: float | None = None
    retry_after_as: Literal["seconds", "date"] = "seconds"
    body: Literal["json", "html", "gzip", "empty"] = "json"


class RedirectFault(FaultRule, frozen=True, tag="redirect"):
    """Send the client elsewhere.

    `to` is a path, a whole URL, or an origin (`http://host:port`, to which the request's path is added). Left
    empty it is the request's own path: a loop, or with `on_request` a detour of one request.
    """

    status: Literal[301, 302, 303, 307, 308] = 307
    to: str = ""


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


class ResetLiesFault(FaultRule, frozen=True, tag="reset_lies"):
    """Answer /reset_prefix_cache with success and keep every block."""

    default_paths: ClassVar[tuple[str, ...]] = ("/reset_prefix_cache",)
