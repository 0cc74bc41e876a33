"""The price that a command was given: by its name in the catalogue, or as an amount that is dated today."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from accounting.errors import ConfigError
from accounting.prices import Price
from workbench.price_catalogue import price_named
from workbench.terminal import err

#: Source of an amount that a command was given as a bare number; its date is today.
GIVEN = "given on the command line"


def given_price(
    name: str | None, usd_per_hour: float | None, today: date, *, devices: int = 1
) -> Price | None:
    """`--price NAME`, of so many devices, or `--usd-per-hour`; None without either. An old price is warned of.

    Raises:
        ConfigError: for both at once, an unknown name, an amount that is no price, or less than one device.
    """
    found, warnings = price_and_warnings(name, usd_per_hour, today, devices=devices)
    warn(warnings)
    return found


def price_and_warnings(
    name: str | None, usd_per_hour: float | None, today: date, *, devices: int = 1
) -> tuple[Price | None, tuple[str, ...]]:
    """The same, and what a user should be warned of instead of the warning.

    Raises:
        ConfigError: for both at once, an unknown name, an amount that is no price, or less than one device.
    """
    if name is not None and usd_per_hour is not None:
        raise ConfigError("--price and --usd-per-hour are two prices.", hint="Give one of them.")
    if name is not None:
        found, warnings = price_named(name, today)
        try:
            return found.to_price(devices), warnings
        except ValueError as error:
            raise ConfigError(
                f"--devices: {error}.", hint="Give how many devices the box has, or leave it out for one."
            ) from error
    if usd_per_hour is None:
        return None, ()
    try:
        return Price(usd_per_hour, GIVEN, today), ()
    except ValueError as error:
        raise ConfigError(f"--usd-per-hour: {error}.") from error


def warn(warnings: Iterable[str]) -> None:
    """Say on standard error what a user should be warned of."""
    for warning in warnings:
        err.print(f"Warning: {warning}", style="yellow", markup=False, soft_wrap=True)
