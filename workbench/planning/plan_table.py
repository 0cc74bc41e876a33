"""A plan as a person reads it: what to serve, what it gains, what was looked at beside it, and how to serve it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from workbench.loads import level_label
from workbench.titled_table import titled_table

Document = Mapping[str, Any]


def plan_table(document: Document) -> RenderableType:
    """The answer first."""
    return Group(
        Text(_answer(document), style="bold"),
        *(Text(f"  {line}") for line in _reasons(document)),
        *([Text(document["proof"]["said"], style="bold")] if "proof" in document else []),
        _candidates(document),
        *(Text(line, style="dim") for line in _left_out(document)),
        Text("vLLM's flags:", style="dim"),
        Text("  " + shlex.join(document["flags"]), no_wrap=True, overflow="ignore"),
    )


def _answer(document: Document) -> str:
    chosen = document["chosen"]
    if not document["feasible"]:
        return (
            f"No policy meets this SLO at any load that was measured: at the lowest, {chosen['name']} keeps it for "
            f"{chosen['attainment']:.0%} of requests, {document['slo']['attainment_floor']:.0%} are asked for."
        )
    words = "no speculation" if chosen["name"] == "off" else chosen["name"]
    cost = (
        ""
        if chosen["usd_per_1k_slo"] is None
        else f", ${chosen['usd_per_1k_slo']:.3g} per 1000 tokens within the SLO"
    )
    return (
        f"Serve {words}: {level_label(document['by'], round(chosen['load'], 2))} within the SLO, "
        f"{chosen['slo_tokens_per_s']:.1f} tokens/s{cost} (predicted)."
    )


def _reasons(document: Document) -> Iterator[str]:
    gain, holds = document["gain"], document["holds_while"]
    if gain["ratio"] is not None and gain["interval"] is not None:
        low, high = gain["interval"]
        sure = "" if low > 1 else " The interval holds 1: measure it before you rely on it."
        yield f"{gain['ratio']:.2f} times the tokens per dollar of no speculation (95 %: {low:.2f} to {high:.2f}).{sure}"
    elif gain["reason"]:
        yield f"Gain: {gain['reason']}."
    if holds["tokens_per_step"] is not None:
        yield (
            f"It pays while a decode step makes more than {holds['tokens_per_step']:.2f} tokens; on these answers it makes "
            f"{holds['planned_tokens_per_step']:.2f}."
        )
    for label, between in holds["mix"].items():
        if between is not None and between != [0.0, 1.0]:
            yield f"It is the best while {between[0]:.0%} to {between[1]:.0%} of the requests are {label}."
    if document["schedule"]:
        yield "It is a schedule, which vLLM may serve worse than planned: serve it only when --prove says so."


def _candidates(document: Document) -> RenderableType:
    priced = document["price"] is not None
    table = titled_table("Policies at their own capacity under the SLO, simulated")
    table.add_column("policy")
    heads = ["tok/step", "load", "tok/s in SLO", *(["$/1k SLO"] if priced else []), "in SLO"]
    for head in heads:
        table.add_column(head, justify="right")
    for row in document["candidates"]:
        cost = "-" if row["usd_per_1k_slo"] is None else f"${row['usd_per_1k_slo']:.3g}"
        table.add_row(
            escape(row["name"]),
            f"{row['tokens_per_step']:.2f}",
            "none" if row["load"] is None else level_label(document["by"], round(row["load"], 2)),
            f"{row['slo_tokens_per_s']:.1f}",
            *([cost] if priced else []),
            f"{row['attainment']:.0%}",
        )
    return table


def _left_out(document: Document) -> Iterator[str]:
    if document["not_simulated"]:
        names = ", ".join(document["not_simulated"])
        yield f"Not simulated, their steady rates are lower: {names}."
    for name, why in document["refused"].items():
        yield f"Not served: {name}: {why}"
    for name in document["unmeasured"]:
        yield f"Not planned: {name}: none of its windows was valid; `kilotoken profile --again` measures it."
    profile = document["profile"]
    yield (
        f"From {document['answers']} logged answers ({document['traces']}) and step costs of {profile['measured_at']} "
        f"({profile['directory']})."
    )
