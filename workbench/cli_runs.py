"""The `kilotoken runs` command: argv in, `run_index` does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from workbench.terminal import JsonFlag, err, out, print_json


def runs(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory that holds runs.")] = Path(
        "runs"
    ),
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Read every run again.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List runs: date, experiment, model, machine, arms, valid cells, best cost, status. Kept in DIR/index.duckdb."""
    from workbench.run_index import indexed_runs

    rows = [
        {key: value for key, value in row.items() if key != "fingerprint"}
        for row in indexed_runs(directory, rebuild=rebuild, warn=_warn)
    ]
    if as_json:
        print_json(rows)
    elif rows:
        out.print(_table(rows))
    else:
        out.print(f"No runs in {directory}. Make one with `kilotoken run EXPERIMENT`.", markup=False)


def _warn(text: str) -> None:
    err.print(f"Warning: {text}", style="yellow", markup=False, soft_wrap=True)


def _table(rows: list[dict[str, Any]]) -> Table:
    from workbench.show import DASH, usd

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for name in ("date", "run", "model", "machine", "arms", "valid", "best $/1k out", "status"):
        table.add_column(name, overflow="fold")
    for row in rows:
        best, arm = row["best_usd_per_1k_output_tokens"], row["best_arm"]
        counted = DASH if row["cells"] is None else f"{row['cells_valid']}/{row['cells']}"
        values = (
            (row["date"] or DASH)[:16],
            Path(row["run"]).name,
            row["model"] or DASH,
            row["machine"] or DASH,
            ", ".join(row["arms"] or ()) or DASH,
            counted,
            DASH if best is None else f"{usd(best)} {arm}",
            ": ".join(filter(None, [row["status"], row["reason"]])),
        )
        table.add_row(*map(escape, values))
    return table
