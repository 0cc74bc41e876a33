"""A check of a draft as a person reads it: passed or failed, then what was asked and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Document = dict[str, Any]


def check_table(document: Document) -> RenderableType:
    """The verdict, its reasons, the figures."""
    passed = document["passed"]
    head = Text.assemble(
        ("passed" if passed else "FAILED", "bold green" if passed else "bold red"),
        f": {document['draft']} as {document['method']} of {document['target']}",
    )
    parts: list[RenderableType] = [head]
    parts += [Text(f"  - {problem}", style="red") for problem in document["problems"]]
    parts += [Text(f"  {line}", style="dim") for line in _lines(document)]
    if "positions" in document["live"]:
        parts.append(_positions(document["live"]))
    kept = document["kept_in"]
    parts.append(
        Text(
            f"  kept in {kept}" if kept else "  not kept: the draft's directory cannot be written",
            style="dim",
        )
    )
    return Group(*parts)


def _lines(document: Document) -> Iterator[str]:
    parity, live = document["parity"], document["live"]
    if "rows" in parity:
        yield (
            f"its trainer's logits at {parity['rows']} places: the same first token at {parity['same_first']:.1%}, "
            f"{parity['median_error']:.1e} of their spread apart in the median, {parity['largest_error']:.1e} at most "
            f"({parity['tolerance']:g} allowed, target in {parity['dtype']})"
        )
    else:
        yield f"its trainer's logits: not compared, because {parity['reason']}"
    if "positions" not in live:
        yield f"live acceptance: not measured, because {live['reason']}"


def _positions(live: Document) -> RenderableType:
    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        title=f"accepted by position, {live['answers']} answers of {', '.join(live['workloads'])}, "
        f"{live['drafts']:,} drafts",
        title_justify="left",
    )
    for name in ("position", "live", "replay", "difference"):
        table.add_column(name, justify="right")
    for row in live["positions"]:
        table.add_row(
            str(row["position"]),
            f"{row['live']:.1%}",
            f"{row['replay']:.1%}",
            f"{100 * row['difference']:+.1f} points",
        )
    table.add_row(
        "AL", f"{live['acceptance_length']:.3f}", f"{live['acceptance_length_replayed']:.3f}",
        f"{live['acceptance_length_replayed'] - live['acceptance_length']:+.3f}",
    )  # fmt: skip
    return table
