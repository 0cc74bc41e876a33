"""What every titled table on the terminal looks like: title and heads on the left, no lines down, as narrow as it goes."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table


def titled_table(title: str) -> Table:
    """An empty table; columns and rows are the caller's."""
    return Table(
        title=title,
        title_justify="left",
        header_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
    )
