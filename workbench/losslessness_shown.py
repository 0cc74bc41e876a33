"""A run's losslessness rows as the table of `kilotoken show`: a line per speculating arm and dtype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from accounting.losslessness import LosslessnessWord
from workbench.losslessness_rows import PASSED
from workbench.titled_table import titled_table

Row = dict[str, Any]
DASH = "–"


def losslessness_lines(rows: Sequence[Row]) -> Group | None:
    """The table and, below it, why a verdict is none; None where no arm speculates. Narrow enough for any terminal."""
    if not rows:
        return None
    shown = titled_table("Losslessness: greedy texts against the baseline's")
    columns = ("arm", "in", "verdict", "texts agree", "excused", "unexcused", "power")
    for number, name in enumerate(columns):
        shown.add_column(name, justify="left" if number < 3 else "right", no_wrap=True)
    for row in rows:
        shown.add_row(row["arm"], row["dtype"], _coloured(row["word"]), *_counts(row))
    notes = [
        Text(f"  {row['arm']}, {row['dtype']}: {row['word']}, because {row['reason']}", style="dim")
        for row in rows
        if row["word"] not in PASSED
    ]
    return Group(shown, *notes)


def _coloured(word: str) -> str:
    colour = "green" if word in PASSED else "red" if word == LosslessnessWord.LOSSY else "yellow"
    return f"[{colour}]{word}[/{colour}]"


def _counts(row: Row) -> tuple[str, ...]:
    if not row["texts"]:
        return (DASH,) * 4
    agreeing = f"{row['agreeing']} of {row['texts']}"
    return agreeing, str(row["excused"]), str(row["unexcused"]), f"{row['power']:.1%}"
