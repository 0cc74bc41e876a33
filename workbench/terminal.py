"""Where the command line prints: answers to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

# A pipe or a log file has no width: give tables the room they need.
PIPE_WIDTH = 150
out = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
err = Console(stderr=True, highlight=False)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]

UncheckedFlag = Annotated[
    bool, typer.Option("--unchecked", help="Use a draft that `kilotoken draft check` failed all the same.")
]


def print_json(document: Any) -> None:
    """One document, as `--json` promises."""
    sys.stdout.write(json.dumps(document, indent=2, default=str) + "\n")
