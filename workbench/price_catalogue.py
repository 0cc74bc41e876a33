"""The dated price catalogue: the product's rows, the user's over them, and which one a name means. Reads no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar

from accounting.errors import ConfigError
from workbench.catalogue_files import DEVICES, PRICES, user_file, user_text
from workbench.catalogue_rows import rows_of
from workbench.device_catalogue import Devices, load_devices
from workbench.nearest_names import nearest_sentence, spelled
from workbench.price_dates import refuse_future
from workbench.price_rows import ApiListPrice, CataloguePrice, ElectricityTariff, FacilityPue, PriceRow

SECTIONS: dict[str, type[PriceRow]] = {
    "price": CataloguePrice,
    "electricity": ElectricityTariff,
    "pue": FacilityPue,
    "api": ApiListPrice,
}
T = TypeVar("T", bound=PriceRow)


@dataclass(frozen=True, slots=True)
class Prices:
    """Rows by id. `own`: ids of those that come from the user's file."""

    rows: Mapping[str, PriceRow]
    own: frozenset[str]
    devices: Devices

    def of(self, kind: type[T]) -> tuple[T, ...]:
        """Rows of one section."""
        return tuple(row for row in self.rows.values() if isinstance(row, kind))

    def find(self, name: str) -> CataloguePrice:
        """The price of that id, or the only one of the device of that name or alias.

        Raises:
            ConfigError: with the nearest names, or with those that the name may mean.
        """
        found = self.rows.get(spelled(name))
        if isinstance(found, CataloguePrice):
            return found
        if found is not None:
            raise ConfigError(
                f"{found.id} is a row of [[{_section(found)}]], not the price of a device hour.", hint=_HINT
            )
        device = self.devices.lookup(name)
        if device is not None:
            return self._only_offer(name, device.name)
        near = nearest_sentence(name, {row.id: self._spellings(row) for row in self.of(CataloguePrice)})
        raise ConfigError(f"There is no price {name!r}{near}.", hint=_HINT)

    def row_of(self, kind: type[T], name: str) -> T:
        """The row of that id in one section: a tariff, a PUE, an API's price.

        Raises:
            ConfigError: with the nearest names, or the section that the name is of.
        """
        found = self.rows.get(spelled(name))
        if isinstance(found, kind):
            return found
        section = next(word for word, model in SECTIONS.items() if model is kind)
        if found is not None:
            raise ConfigError(
                f"{found.id} is a row of [[{_section(found)}]], not of [[{section}]].", hint=_HINT
            )
        near = nearest_sentence(name, {row.id: (row.id,) for row in self.of(kind)})
        raise ConfigError(f"There is no row {name!r} in [[{section}]]{near}.", hint=_HINT)

    def _only_offer(self, name: str, device: str) -> CataloguePrice:
        offers = [row for row in self.of(CataloguePrice) if row.device == device]
        if not offers:
            raise ConfigError(f"There is no price of a {device}.", hint=_HINT)
        if len(offers) > 1:
            some = ", ".join(row.id for row in offers[:3])
            raise ConfigError(
                f"{name!r} is the device {device}, which has {len(offers)} prices.",
                hint=f"Name one of them, for example {some}; `kilotoken prices {device}` lists them.",
            )
        return offers[0]

    def _spellings(self, row: CataloguePrice) -> Iterable[str]:
        """The id, what it ends in (`a100-80` of `lambda-a100-80`), and what the device is called."""
        parts = row.id.split("-")
        ends = ["-".join(parts[start:]) for start in range(len(parts))]
        device = self.devices.rows[row.device].spellings if row.device is not None else ()
        return (*ends, *device)


_HINT = "`kilotoken prices` lists all; docs/prices.md says how to add your own."


def load_prices(path: Path | None, *, today: date, devices: Devices | None = None) -> Prices:
    """The product's prices, and those of a user's file over them; None for the product's alone.

    `devices` that prices may name: by default the product's and the user's own.

    Raises:
        ConfigError: if a file cannot be used, or a row is dated after `today`.
    """
    devices = load_devices(user_file(DEVICES)) if devices is None else devices
    rows = _checked(PRICES.text(), PRICES.origin, today, devices)
    own = {} if path is None else _checked(user_text(path), str(path), today, devices)
    for name in own.keys() & rows.keys():
        if type(own[name]) is not type(rows[name]):
            raise ConfigError(
                f"{path}: {name} is a row of [[{_section(own[name])}]] here, and of [[{_section(rows[name])}]] in "
                f"{PRICES.origin}.",
                hint="Give your row another id.",
            )
    return Prices(rows | own, frozenset(own), devices)


def price_named(
    name: str, today: date, prices: Prices | None = None
) -> tuple[CataloguePrice, tuple[str, ...]]:
    """The price of that id or device, and what a user should be warned of. By default from the product's and the user's.

    Raises:
        ConfigError: with the nearest names.
    """
    prices = load_prices(user_file(PRICES), today=today) if prices is None else prices
    found = prices.find(name)
    warning = found.age_warning(today)
    return found, () if warning is None else (warning,)


def _checked(text: str, origin: str, today: date, devices: Devices) -> dict[str, PriceRow]:
    rows = rows_of(text, SECTIONS, origin=origin, hint=PRICES.hint)
    for name, row in rows.items():
        refuse_future(f"{origin}: {name}", row.as_of, today)
        if isinstance(row, CataloguePrice) and row.device is not None:
            rows[name] = row.model_copy(update={"device": _known(row.device, f"{origin}: {name}", devices)})
    return rows


def _known(device: str, where: str, devices: Devices) -> str:
    """The device's own name for one of its names."""
    try:
        return devices.find(device).name
    except ConfigError as error:
        raise ConfigError(
            f"{where}: device: {error.message}",
            hint="`kilotoken devices` lists all; add yours to devices.toml, or leave `device` out.",
        ) from error


def _section(row: PriceRow) -> str:
    return next(name for name, model in SECTIONS.items() if type(row) is model)
