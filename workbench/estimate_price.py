"""The price of an estimate's device hour: of the very device that is estimated, and what has to be rented beside it."""

from __future__ import annotations

from datetime import date

from accounting.errors import ConfigError
from accounting.estimate.placement import Placement
from accounting.prices import Price
from workbench.given_price import given_price
from workbench.measured_device import THIS_MACHINE
from workbench.price_catalogue import price_named


def device_price(
    name: str | None, usd_per_hour: float | None, placed: Placement, today: date
) -> tuple[Price | None, tuple[str, ...]]:
    """The price of one device hour by name or amount, None without either; and what a reader should know of it.

    Raises:
        ConfigError: for the price of another device, and as `given_price` does.
    """
    price = given_price(name, usd_per_hour, today)
    if name is None:
        return price, ()
    row, _ = price_named(name, today)
    device, notes = placed.device.name, []
    if row.device is not None and row.device != device:
        if device != THIS_MACHINE:
            raise ConfigError(
                f"--price {row.id} is that of an hour of {row.device}, and --device is {device}.",
                hint=f"`kilotoken prices {device}` lists its prices; --usd-per-hour takes any amount.",
            )
        notes.append(
            f"price {row.id} is that of an hour of {row.device}: whether this machine is one was not checked"
        )
    if row.device is None:
        notes.append(
            f"price {row.id} is that of a whole box: it is taken for each of {placed.devices} devices"
            if placed.devices > 1
            else f"price {row.id} is that of a whole box and names no device"
        )
    if idle := -placed.devices % row.sold_in:
        notes.append(
            f"{row.id} is sold {row.sold_in} devices at a time, and {placed.devices} are reckoned with: renting them takes "
            f"{placed.devices + idle}, {row.usd_per_hour * (placed.devices + idle):.4g} $ an hour in all; --dp fills them"
        )
    return price, tuple(notes)
