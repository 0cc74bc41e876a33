"""How a load is shown to a person: what came back, the latencies, and whether to trust them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from workbench.energy_shown import energy_line

_LATENCIES = (
    ("ttft_ms", "TTFT", "intended send to the first token"),
    ("tpot_ms", "TPOT", "per output token after the first event"),
    ("chunk_gap_ms", "chunk gap", "between two stream events"),
    ("e2e_ms", "E2E", "intended send to the last token"),
    ("send_lateness_ms", "sent late", "the client's fault, part of TTFT and E2E"),
    ("client_lag_ms", "read late", "the client's fault, kept out of the above"),
)
WIDE = 90  # columns from which there is room to say what each latency is
_PERCENTILES = ("p50", "p95", "p99")


def load_table(document: Mapping[str, Any], *, width: int) -> RenderableType:
    """The summary on a terminal of that width."""
    return Group(
        *_headline(document),
        Text(),
        _latencies(document, wide=width >= WIDE),
        Text(),
        *(Text(_indented(line, width), style="dim") for line in (*_facts(document), *_not_quoted(document))),
        *_verdict(document, width),
    )


def _indented(text: str, width: int) -> str:
    return textwrap.fill(
        text,
        width,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _headline(document: Mapping[str, Any]) -> list[Text]:
    server, rate, per_s = document["server"], document["output_tokens_per_s"], document["requests_per_s"]
    speed = "output tokens not stated by the server" if rate is None else f"{rate:,.1f} output tokens/s"
    offered = f" of {per_s['offered']:,.1f} offered" if per_s["offered"] is not None else ""
    failed = document["failed"]
    counts = Text(f"{document['requests']:,} requests in {document['window_s']:.1f} s, ")
    counts.append(f"{failed:,} failed" if failed else "none failed", style="bold red" if failed else "")
    return [
        Text(f"{server['model']} at {server['url']}"),
        Text(f"{speed}, {per_s['answered']:,.1f} answers/s{offered}", style="bold"),
        counts,
    ]


def _latencies(document: Mapping[str, Any], *, wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("milliseconds")
    for name in _PERCENTILES:
        table.add_column(name, justify="right", min_width=8)
    if wide:
        table.add_column("", style="dim")
    for key, label, meaning in _LATENCIES:
        cells = [_number(document[key].get(name)) for name in _PERCENTILES]
        table.add_row(label, *cells, *([meaning] if wide else []))
    return table


def _number(value: float | None) -> str:
    """Always two decimals, so that the points stand below one another."""
    return "-" if value is None else f"{value:,.2f}"


def _facts(document: Mapping[str, Any]) -> list[str]:
    clock = {
        "kernel": "arrival times are the kernel's",
        "user": "arrival times are the client's own: its lag is inside them",
    }.get(document["clock"], "no answer was timed")
    shared = document["censored_share"]
    lines = [
        clock
        if not shared
        else f"{clock}; {shared:.1%} of events came together with a later one: no gap is taken there"
    ]
    arrivals = document["arrivals"]
    if arrivals is not None:
        lines.append(
            f"{arrivals['sent']:,} of {arrivals['intended']:,} intended arrivals were sent; at no moment were more "
            f"than {arrivals['largest_deviation']:.1%} of them off schedule"
        )
    hits = document["prefix_hits"]
    if hits is not None and hits["achieved"] is not None:
        lines.append(f"prefix cache hit {_share(hits['achieved'])} of prompt tokens{_implied(hits)}")
    length = document["server"]["acceptance_length"]
    if length["value"] is not None:
        lines.append(f"acceptance length {length['value']:.2f}")
    lines.append(energy_line(document["energy"]))
    if document["load"]["synthetic"]:
        lines.append(f"prompts: {document['load']['synthetic']}")
    by_outcome = {k: v for k, v in document["accounted"]["by_outcome"].items() if k != "ok"}
    if by_outcome:
        lines.append("failures: " + ", ".join(f"{name} {count:,}" for name, count in by_outcome.items()))
    return lines


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


def _verdict(document: Mapping[str, Any], width: int) -> list[Text]:
    text = Text("verdict: ", style="bold")
    said = [(name, verdict) for name, verdict in document["verdict"].items() if verdict is not None]
    for index, (name, verdict) in enumerate(said):
        text.append(f"{', ' if index else ''}{name} ")
        text.append(verdict, style="green" if verdict == "valid" else "yellow")
    reason = document["reason"]
    return [text, *([Text(_indented(reason, width), style="yellow")] if reason else [])]
