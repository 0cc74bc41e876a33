"""The crossover map as a person reads it: per workload, where drafting pays, what is lacking, and where the speed-up went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from accounting.planning.speedup_factors import ACCEPTANCE, UNEXPLAINED
from workbench.titled_table import titled_table

Document = Mapping[str, Any]


def map_table(document: Document) -> RenderableType:
    """A table for each workload, then how far predictions were from measurements."""
    rows = document["rows"]
    workloads = dict.fromkeys(row["workload"] for row in rows)
    parts: list[RenderableType] = []
    for workload in workloads:
        own = [row for row in rows if row["workload"] == workload]
        parts += [_ratios(workload, own), _factors(own)]
    parts.append(Text(_errors(rows), style="dim"))
    return Group(*parts)


def _ratios(workload: str, rows: Sequence[Document]) -> RenderableType:
    priced = any("usd_per_1k" in load for row in rows for load in row["loads"])
    table = titled_table(f"{workload}: tokens per second against no drafting")
    for name, justify in (
        ("arm", "left"), ("tok/step", "right"), ("streams", "right"), ("tok/s", "right"),
        *((("$/1k", "right"),) if priced else ()), ("measured", "right"), ("predicted", "right"),
        ("pays from", "right"), ("all accepted", "right"), ("pays at streams", "left"),
    ):  # fmt: skip
        table.add_column(name, justify=justify)
    for row in rows:
        for number, load in enumerate(row["loads"]):
            first = number == 0
            table.add_row(
                escape(row["arm"]) if first else "",
                f"{row['tokens_per_step']:.2f}" if first else "",
                str(load["streams"]),
                f"{load['measured_tokens_per_s']:.1f}",
                *([f"${load['usd_per_1k']:.3g}"] if priced else []),
                "-" if load["measured_ratio"] is None else f"{load['measured_ratio']:.2f}x",
                f"{load['predicted_ratio']:.2f}x",
                _break_even(load["break_even_tokens_per_step"]),
                f"{load['ratio_at_best']:.2f}x",
                _ranges(row["pays_at_streams"]) if first else "",
                end_section=number == len(row["loads"]) - 1,
            )
    return table


def _break_even(tokens: float | None) -> str:
    return "never" if tokens is None else f"{tokens:.2f}"


def _ranges(ranges: Sequence[Sequence[int]]) -> str:
    return ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in ranges) or "none"


def _factors(rows: Sequence[Document]) -> RenderableType:
    causes = [factor["cause"] for factor in rows[0]["loads"][0]["factors"]]
    if UNEXPLAINED not in causes:
        causes.append(UNEXPLAINED)
    table = titled_table("Where it went: factors of the ratio")
    table.add_column("arm")
    table.add_column("streams", justify="right")
    for cause in causes:
        table.add_column("tok/step" if cause == ACCEPTANCE else cause, justify="right")
    for row in rows:
        for number, load in enumerate(row["loads"]):
            known = {factor["cause"]: factor["factor"] for factor in load["factors"]}
            table.add_row(
                escape(row["arm"]) if number == 0 else "",
                str(load["streams"]),
                *(f"{known[cause]:.2f}" if cause in known else "-" for cause in causes),
            )
    return table


def _errors(rows: Sequence[Document]) -> str:
    errors = sorted(_all_errors(rows))
    if not errors:
        return ""
    return (
        f"Predicted against measured tokens/s over {len(errors)} windows: median |error| {median(errors):.1%}, largest {errors[-1]:.1%}. "
        "tok/step counts undrafted steps too; `pays from` is the tok/step at which drafting is worth nothing."
    )


def _all_errors(rows: Sequence[Document]) -> Iterator[float]:
    for row in rows:
        for load in row["loads"]:
            yield abs(load["predicted_tokens_per_s"] / load["measured_tokens_per_s"] - 1.0)
