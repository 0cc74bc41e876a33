"""The `kilotoken price` command: argv in, `price_command` does the work."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from accounting.errors import ConfigError
from workbench.terminal import JsonFlag, out, print_json


def price(
    run: Annotated[Path, typer.Argument(help="Finished run directory.", show_default=False)],
    name: Annotated[str | None, typer.Option("--price", help="A price by name: `kilotoken prices`.")] = None,
    usd_per_hour: Annotated[float | None, typer.Option(help="Or the rent of the whole box itself.")] = None,
    devices: Annotated[int, typer.Option(help="Devices of the box, for a --price by name.")] = 1,
    buy_usd: Annotated[
        float | None, typer.Option(help="Bought instead of rented: the price of the box.")
    ] = None,
    years: Annotated[float, typer.Option(help="Years until a bought box is worth nothing.")] = 4.0,
    usd_per_kwh: Annotated[float | None, typer.Option(help="Tariff that a bought box pays.")] = None,
    pue: Annotated[float, typer.Option(help="What the building takes for each joule of the box.")] = 1.0,
    busy_watts: Annotated[
        float | None, typer.Option(help="What it draws when busy; else as the run measured.")
    ] = None,
    idle_watts: Annotated[float, typer.Option(help="What it draws when idle.")] = 0.0,
    duty_cycle: Annotated[float, typer.Option(help="Share of held hours that are busy.")] = 1.0,
    starts_per_day: Annotated[
        float, typer.Option(help="Server starts a day; their time is held and gives nothing.")
    ] = 0.0,
    api_usd_per_1m_output: Annotated[
        float | None, typer.Option(help="An API's price, to break even with.")
    ] = None,
    api_usd_per_1m_input: Annotated[float, typer.Option(help="Its price of input.")] = 0.0,
    api_usd_per_1m_cached: Annotated[float | None, typer.Option(help="Its price of cached input.")] = None,
    against: Annotated[Path | None, typer.Option(help="Run of a bigger box, at its own price.")] = None,
    route_share: Annotated[
        float | None, typer.Option(help="Share answered here, the rest by --against.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Price a finished run again: another rent, a purchase, a duty cycle, a tariff; break even with an API or a bigger box."""
    from workbench.given_price import given_price
    from workbench.price_command import ApiPrice, PriceRequest, Purchase, price_document
    from workbench.price_table import price_table
    from workbench.run_directory import RunDirectory

    today = datetime.now(UTC).date()
    rent = given_price(name, usd_per_hour, today, devices=devices)
    purchase = None
    if buy_usd is not None:
        if rent is not None:
            raise ConfigError(
                "a box is rented or bought.", hint="Give --buy-usd, or --price or --usd-per-hour."
            )
        if usd_per_kwh is None:
            raise ConfigError(
                "--buy-usd needs --usd-per-kwh: a bought box pays for its electricity.",
                hint="`kilotoken prices` lists dated tariffs.",
            )
        purchase = Purchase(
            usd=buy_usd,
            years=years,
            usd_per_kwh=usd_per_kwh,
            pue=pue,
            busy_watts=busy_watts,
            idle_watts=idle_watts,
        )
    elif usd_per_kwh is not None or busy_watts is not None or pue != 1.0 or idle_watts:
        raise ConfigError(
            "rent already contains electricity: a tariff, watts and PUE go with --buy-usd only.",
            hint="Leave them out, or give the price of the box with --buy-usd.",
        )
    api = None
    if api_usd_per_1m_output is not None:
        api = ApiPrice(
            usd_per_1m_output=api_usd_per_1m_output,
            usd_per_1m_input=api_usd_per_1m_input,
            usd_per_1m_cached=api_usd_per_1m_cached,
        )
    request = PriceRequest(
        rent=rent, purchase=purchase, duty_cycle=duty_cycle, starts_per_day=starts_per_day, api=api, against=against,
        route_share=route_share,
    )  # fmt: skip
    document = price_document(RunDirectory.open(run), request, today=today)
    if as_json:
        print_json(document)
    else:
        out.print(price_table(document))
