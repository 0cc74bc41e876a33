"""What making a draft came to, as a person reads it."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Document = dict[str, Any]


def make_table(document: Document) -> RenderableType:
    """One paragraph per stage, a table where the draft was compared."""
    parts = document["collected"]["parts"]
    training, check = document["training"], document["check"]
    before, after = training["before"], training["after"]
    lines: list[RenderableType] = [
        Text(f"{document['draft']}: a draft for {document['target']} ({document['kind']})", style="bold"),
        Text(
            f"  learned from {parts['train']['traces']:,} answers, {parts['train']['output_tokens']:,} tokens; judged on "
            f"{parts['heldout']['traces']:,}"
        ),
        Text(
            f"  simulated acceptance length {before['acceptance_length']:.2f} before, {after['acceptance_length']:.2f} after "
            f"{training['steps']:,} steps ({training['ended']})"
        ),
        Text(
            "  check: passed" if check["passed"] else "  check FAILED: " + "; ".join(check["problems"]),
            style="" if check["passed"] else "red",
        ),
    ]
    if document["comparison"]:
        lines.append(_compared(document["comparison"]))
    else:
        lines.append(Text(f"  not compared: {document['not_compared']}", style="dim"))
    minutes = ", ".join(f"{name} {seconds / 60:.0f}" for name, seconds in document["took_s"].items())
    lines.append(Text(f"  minutes: {minutes}", style="dim"))
    lines.append(Text(f"  card: {document['draft']}/CARD.md", style="dim"))
    return Group(*lines)


def _compared(rows: list[Document]) -> RenderableType:
    table = Table(
        box=SIMPLE_HEAD, pad_edge=False, title="against no speculation, one stream", title_justify="left"
    )
    for name in ("workload", "cost ratio", "95 % interval", "tokens/s", "word", "answers"):
        table.add_column(name, justify="left" if name in ("workload", "word", "answers") else "right")
    for row in rows:
        interval = "-" if row["interval"] is None else "{:.3f} to {:.3f}".format(*row["interval"])
        table.add_row(
            row["workload"],
            "-" if row["cost_ratio"] is None else f"{row['cost_ratio']:.3f}",
            interval,
            "-" if row["speedup"] is None else f"{row['speedup']:.2f}x",
            row["word"],
            row["losslessness"],
        )
    return table
