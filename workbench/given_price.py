"""The price that a command was given: by its name in the catalogue, or as an amount that is dated today."""

from __future__ import annotations

from datetime import date

from accounting.errors import ConfigError
from accounting.prices import Price
from workbench.price_catalogue import price_named
from workbench.terminal import err


def given_price(
    name: str | None, usd_per_hour: float | None, today: date, *, devices: int = 1
) -> Price | None:
    """`--price NAME`, of so many devices, or `--usd-per-hour`; None without either. An old price is warned of.

    Raises:
        ConfigError: for both at once, an unknown name or an amount that is no price.
        ValueError: for less than one device.
    """
    if name is not None and usd_per_hour is not None:
        raise ConfigError("--price and --usd-per-hour are two prices.", hint="Give one of them.")
    if name is not None:
        found, warnings = price_named(name, today)
        for warning in warnings:
            err.print(f"Warning: {warning}", style="yellow", markup=False, soft_wrap=True)
        return found.to_price(devices)
    if usd_per_hour is None:
        return None
    try:
        return Price(usd_per_hour, "given on the command line", today)
    except ValueError as error:
        raise ConfigError(f"--usd-per-hour: {error}.") from error
