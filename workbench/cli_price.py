"""The `kilotoken price` command: argv in, `price_command` does the work."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from workbench.terminal import JsonFlag, out, print_json


def price(
    run: Annotated[Path, typer.Argument(help="Finished run directory.", show_default=False)],
    name: Annotated[str | None, typer.Option("--price", help="A price by name: `kilotoken prices`.")] = None,
    usd_per_hour: Annotated[float | None, typer.Option(help="Or the rent of the whole box itself.")] = None,
    devices: Annotated[
        int | None, typer.Option(help="Devices of the box, for a --price by name; else one.")
    ] = None,
    buy_usd: Annotated[
        float | None, typer.Option(help="Bought instead of rented: the price of the box.")
    ] = None,
    years: Annotated[
        float | None, typer.Option(help="Years until a bought box is worth nothing; else 4.")
    ] = None,
    usd_per_kwh: Annotated[
        str | None,
        typer.Option(help="Tariff, an amount or a name: what a bought box pays, or comes on top of rent."),
    ] = None,
    pue: Annotated[
        str | None,
        typer.Option(help="What the building takes for each joule of the box, a ratio or a name."),
    ] = None,
    busy_watts: Annotated[
        float | None, typer.Option(help="What it draws when busy; else as each arm and load was measured.")
    ] = None,
    idle_watts: Annotated[float | None, typer.Option(help="What it draws when idle.")] = None,
    duty_cycle: Annotated[
        float, typer.Option(help="Share of held hours that are busy with this work, starts included.")
    ] = 1.0,
    starts_per_day: Annotated[
        float | None, typer.Option(help="Server starts a day; their time is held and gives nothing.")
    ] = None,
    start_up_s: Annotated[
        float | None, typer.Option(help="Seconds of a start; else as the run measured.")
    ] = None,
    api: Annotated[str | None, typer.Option(help="An API by name, to break even with.")] = None,
    api_usd_per_1m_output: Annotated[
        float | None, typer.Option(help="Or its price of output itself.")
    ] = None,
    api_usd_per_1m_input: Annotated[
        float | None, typer.Option(help="And of input; 0 where it is free or blended.")
    ] = None,
    api_usd_per_1m_cached: Annotated[
        float | None, typer.Option(help="And of cached input; else as other input.")
    ] = None,
    against: Annotated[Path | None, typer.Option(help="Run of a bigger box, at its own price.")] = None,
    route_share: Annotated[
        float | None, typer.Option(help="Share answered here, the rest by --against.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Price a finished run again: another rent, a purchase, a duty cycle, a tariff; break even with an API or a bigger box."""
    from workbench.given_price import warn
    from workbench.price_command import price_document
    from workbench.price_options import PriceOptions, request_of
    from workbench.price_table import price_table
    from workbench.run_directory import RunDirectory

    options = PriceOptions(
        price=name, usd_per_hour=usd_per_hour, devices=devices, buy_usd=buy_usd, years=years, usd_per_kwh=usd_per_kwh,
        pue=pue, busy_watts=busy_watts, idle_watts=idle_watts, duty_cycle=duty_cycle, starts_per_day=starts_per_day,
        start_up_s=start_up_s, api=api, api_usd_per_1m_output=api_usd_per_1m_output,
        api_usd_per_1m_input=api_usd_per_1m_input, api_usd_per_1m_cached=api_usd_per_1m_cached, against=against,
        route_share=route_share,
    )  # fmt: skip
    today = datetime.now(UTC).date()
    document = price_document(RunDirectory.open(run), request_of(options, today), today=today)
    warn(document["warnings"])
    if as_json:
        print_json(document)
    else:
        out.print(price_table(document))
