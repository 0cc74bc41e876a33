"""The `kilotoken map` command: argv in, `workbench.planning` does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.terminal import JsonFlag, out, print_json


def crossover(
    profile: Annotated[
        Path,
        typer.Argument(help="Directory of a profile, as `kilotoken profile` says it.", show_default=False),
    ],
    price: Annotated[str | None, typer.Option(help="A name in the catalogue (`kilotoken prices`).")] = None,
    usd_per_hour: Annotated[float | None, typer.Option(help="Or an amount.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Also write a page with figures here (HTML).", show_default=False)
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Where drafting pays: each drafter and k on each workload at each load, measured and predicted, and where the speed-up went."""
    from datetime import UTC, datetime

    from workbench.given_price import given_price
    from workbench.planning.crossover_map import crossover_map
    from workbench.planning.map_report import write_map_page
    from workbench.planning.map_table import map_table
    from workbench.planning.profile_windows import map_inputs
    from workbench.planning.step_cost_file import read_step_cost

    priced = given_price(price, usd_per_hour, datetime.now(UTC).date())
    document = crossover_map(map_inputs(profile), priced)
    if report is not None:
        write_map_page(report, document, read_step_cost(profile))
    if as_json:
        print_json(document)
    else:
        out.print(map_table(document))
