"""A re-priced run as a person reads it: the terms, a row per arm and load, the sentences, what moves the answer most."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from workbench.titled_table import titled_table

Document = dict[str, Any]
DASH = "–"
_INPUTS = {
    "output_tokens_per_s": "output tokens/s", "duty_cycle": "duty cycle", "usd_per_hour": "$ per hour",
    "purchase_usd": "purchase price", "years": "years of life", "usd_per_kwh": "$ per kWh", "pue": "PUE",
    "busy_watts": "watts when busy", "idle_watts": "watts when idle", "start_up_share": "time in starts",
}  # fmt: skip


def price_table(document: Document) -> Group:
    """The whole answer, narrow enough for any terminal."""
    parts: list[Any] = [Text(_terms(document["terms"]), style="bold"), _places(document["places"])]
    shared = [row for row in document["places"] if row["shares"]["reason"] is None]
    if shared:
        parts.append(_shares(shared))
    parts += [
        Text(f"  {line}", style="dim")
        for line in dict.fromkeys(
            f"shares of input and output: {row['shares']['reason']}"
            for row in document["places"]
            if row["shares"]["reason"]
        )
    ]
    parts += [Text(row["sentence"]) for row in document["break_even"]]
    parts += [Text(_routed(row)) for row in document["routing"]]
    parts += [Text(note) for note in document["notes"]]
    parts.append(_sensitivity(document["sensitivity"]))
    parts.append(Text(f"  electricity: {document['terms']['electricity']}", style="dim"))
    parts += [
        Text(f"  {one['what']}: {one['amount']}, {one['source']}, as of {one['as_of']}", style="dim")
        for one in document["terms"]["sources"]
    ]
    return Group(*parts)


def _terms(terms: Document) -> str:
    by_part = ", ".join(f"{name} {usd:.4g}" for name, usd in terms["usd_per_hour_by_part"].items())
    of = f" ({terms['of']}, the cheapest)" if terms["of"] else ""
    return f"$ per hour{of}: {by_part}; {_hours(terms)}: {terms['usd_per_hour_of_work']:.4g} $ for each hour of work"


def _hours(terms: Document) -> str:
    duty = f"duty cycle {terms['duty_cycle']:.0%}"
    if not terms["starts_per_day"]:
        return duty
    return (
        f"{duty}, of which {terms['starts_per_day']:g} starts a day of {terms['start_up_s']:.0f} s take "
        f"{terms['start_up_share'] * 24:.2g} h"
    )


def _places(rows: list[Document]) -> Table:
    shown = titled_table("$ per 1k output tokens, allocation basis: every held hour is paid for")
    for name in ("arm", "workload", "load"):
        shown.add_column(name)
    for name in ("tok/s", "as measured", "now", "within SLO", "usage basis", "per request"):
        shown.add_column(name, justify="right")
    for row in rows:
        shown.add_row(
            row["arm"],
            row["workload"],
            row["load"],
            f"{row['output_tokens_per_s']:.1f}",
            _usd(row["usd_per_1k_as_measured"]),
            _usd(row["usd_per_1k_output_tokens"]),
            _usd(row["usd_per_1k_slo_output_tokens"]),
            _usd(row["usd_per_1k_output_tokens_usage_basis"]),
            _usd(row["usd_per_request"]),
        )
    return shown


def _shares(rows: list[Document]) -> Table:
    shown = titled_table("Which part of the cost is input, cached input and output")
    for name in ("arm", "workload", "load"):
        shown.add_column(name)
    for name in ("input", "cached", "output"):
        shown.add_column(name, justify="right")
    for row in rows:
        shares = row["shares"]
        values = (shares["input"], shares["cached_input"], shares["output"])
        shown.add_row(row["arm"], row["workload"], row["load"], *(f"{value:.1%}" for value in values))
    return shown


def _routed(row: Document) -> str:
    least = row["least_share_for_a_cascade"]
    cascade = (
        "a cascade never pays, the small server is the dearer one"
        if least is None
        else f"asking the small one first and the large one again costs {row['cascaded_usd_per_1k']:.4g} $ and pays from "
        f"{least:.1%} answered well"
    )
    starts = f", {row['starts_per_day']:g} starts a day" if row["starts_per_day"] else ""
    return (
        f"{row['share']:.0%} answered by {row['arm']} ({row['workload']}, {row['load']}), the rest by {row['large']}: "
        f"{row['routed_usd_per_1k']:.4g} $ per 1k output tokens, against {row['small_usd_per_1k']:.4g} and "
        f"{row['large_usd_per_1k']:.4g} alone; {cascade}. Both are held all "
        f"day, busy {row['duty_cycle']:.0%} of it{starts}."
    )


def _sensitivity(found: Document) -> Table:
    shown = titled_table(
        f"Moved by {found['moved_by']:.0%}: cost of {found['arm']} ({found['workload']}, {found['load']})"
    )
    for name in ("input", "lower", "higher"):
        shown.add_column(name, justify="left" if name == "input" else "right")
    for row in found["inputs"]:
        shown.add_row(_INPUTS[row["input"]], *(_change(row[way]) for way in ("lower", "higher")))
    return shown


def _change(ratio: float | None) -> str:
    return "out of range" if ratio is None else f"{ratio - 1:+.1%}"


def _usd(value: float | None) -> str:
    return DASH if value is None else f"{value:.4g}"
