"""How a load is shown to a person: what came back, the latencies, and whether to trust them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

_LATENCIES = (
    ("ttft_ms", "TTFT", "intended send to the first token"),
    ("tpot_ms", "TPOT", "per output token after the first event"),
    ("chunk_gap_ms", "chunk gap", "between two stream events"),
    ("e2e_ms", "E2E", "intended send to the last token"),
    ("send_lateness_ms", "send lateness", "the client's, part of TTFT and E2E"),
    ("client_lag_ms", "client lag", "kernel had the bytes until the client did"),
)
_PERCENTILES = ("p50", "p95", "p99")


def load_table(document: Mapping[str, Any], *, width: int) -> RenderableType:
    """The summary on a terminal of that width."""
    parts: list[RenderableType] = [
        _headline(document),
        Text(),
        _latencies(document, wide=width >= 90),
        Text(),
    ]
    parts += _facts(document)
    parts.append(_verdict(document))
    return Group(*parts)


def _headline(document: Mapping[str, Any]) -> Text:
    server = document["server"]
    rate = document["output_tokens_per_s"]
    speed = "output tokens not stated by the server" if rate is None else f"{rate:,.1f} output tokens/s"
    line = Text(f"{server['model']} at {server['url']}: ", style="bold")
    failed = document["failed"]
    line.append(f"{speed}, {document['requests']:,} requests in {document['window_s']:.1f} s")
    if failed:
        line.append(f", {failed:,} failed", style="bold red")
    return line


def _latencies(document: Mapping[str, Any], *, wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("milliseconds")
    for name in _PERCENTILES:
        table.add_column(name, justify="right")
    if wide:
        table.add_column("", style="dim")
    for key, label, meaning in _LATENCIES:
        cells = [_number(document[key].get(name)) for name in _PERCENTILES]
        table.add_row(label, *cells, *([meaning] if wide else []))
    return table


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" if value < 1 else f"{value:.1f}"


def _facts(document: Mapping[str, Any]) -> list[RenderableType]:
    clock = {
        "kernel": "arrival times are the kernel's",
        "user": "arrival times are the client's own: its lag is inside them",
    }.get(document["clock"], "no answer was timed")
    lines = [f"{clock}; {_share(document['censored_share'])} of events shared a read with a later one"]
    arrivals = document["arrivals"]
    if arrivals is not None:
        lines.append(
            f"{arrivals['sent']:,} of {arrivals['intended']:,} intended arrivals were sent; the two courses lie "
            f"{arrivals['largest_deviation']:.2%} apart at most"
        )
    hits = document["prefix_hits"]
    if hits is not None and hits["achieved"] is not None:
        lines.append(f"prefix cache hit {_share(hits['achieved'])} of prompt tokens{_implied(hits)}")
    length = document["server"]["acceptance_length"]
    if length["value"] is not None:
        lines.append(f"acceptance length {length['value']:.2f}")
    if document["load"]["synthetic"]:
        lines.append(f"prompts: {document['load']['synthetic']}")
    by_outcome = {k: v for k, v in document["accounted"]["by_outcome"].items() if k != "ok"}
    if by_outcome:
        lines.append("failures: " + ", ".join(f"{name} {count:,}" for name, count in by_outcome.items()))
    return [Text(f"  {line}", style="dim") for line in [*lines, *_not_quoted(document)]]


def _implied(hits: Mapping[str, Any]) -> str:
    if hits["implied"] is None:
        return ""
    sized = hits["implied_at_capacity"]
    within = "" if sized is None else f", {_share(sized)} in a cache of the server's size, one by one"
    return f"; their ids imply {_share(hits['implied'])} in an endless cache{within}"


def _not_quoted(document: Mapping[str, Any]) -> list[str]:
    """Why dashes are dashes, once for all latencies with the same reason."""
    labels: dict[str, list[str]] = {}
    for key, label, _ in _LATENCIES:
        if reason := document[key].get("reason"):
            labels.setdefault(reason, []).append(label)
    return [f"{', '.join(names)}: {reason}" for reason, names in labels.items()]


def _share(value: float | None) -> str:
    return "an unknown share" if value is None else f"{value:.1%}"


def _verdict(document: Mapping[str, Any]) -> Text:
    text = Text("verdict: ", style="bold")
    for name, verdict in document["verdict"].items():
        if verdict is not None:
            text.append(f"{name} ")
            text.append(f"{verdict}  ", style="green" if verdict == "valid" else "yellow")
    if document["reason"]:
        text.append(f"\n  {document['reason']}", style="yellow")
    return text
