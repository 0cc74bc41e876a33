"""What a row of the price catalogue says: the price of a device hour, a tariff of electricity, a PUE, an API's price."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from accounting.prices import Price
from workbench.catalogue_rows import Amount, Row, Words
from workbench.price_dates import age_warning

NOT_STATED = "not stated"


class PriceRow(Row):
    """What all of them say."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    """Name of the row: small letters, digits and single dashes."""
    region: Words = NOT_STATED
    """Where it holds: a cloud's region, a country, or 'not stated'."""

    def age_days(self, today: date) -> int:
        """Days since the source said so."""
        return (today - self.as_of).days

    def age_warning(self, today: date) -> str | None:
        """What to tell a user whose price is older than 180 days; None for a younger one."""
        return age_warning(self.id, self.as_of, self.source, today)


class CataloguePrice(PriceRow):
    """USD for one hour of one device, or of a whole box that is no known device."""

    device: Words | None = None
    """Name or alias from `kilotoken devices`; left out for a box without one (a CPU server): the price of the whole box."""
    usd_per_hour: Amount
    """Rent, USD an hour for ONE device, whatever the instance holds."""
    unit: Literal["USD/device-hour"] = "USD/device-hour"
    """What usd_per_hour is; divide an instance's price by its devices."""
    sold_in: Annotated[int, Field(ge=1)] = 1
    """Devices that have to be rented together, where the source says so."""
    commitment: Words
    """For how long: on-demand, spot, 1-year, 3-year, ownership."""
    basis: Literal["list-price", "market-model", "ownership-model", "invoice", "declared"]
    """What kind of number it is: list-price, market-model, ownership-model, invoice or declared (docs/prices.md)."""

    def to_price(self, devices: int = 1) -> Price:
        """Rent of so many devices, as the value that accounting reckons with; its source says which row it is.

        Raises:
            ValueError: for less than one device.
        """
        if devices < 1:
            raise ValueError(f"a box has at least one device, not {devices}")
        sold = f", sold {self.sold_in} at a time" if self.sold_in > 1 else ""
        where = f"{self.region}, {self.commitment}, {self.basis}{sold}"
        return Price(self.usd_per_hour * devices, f"{self.id}: {self.source} ({where})", self.as_of)


class ElectricityTariff(PriceRow):
    """USD for a kilowatt-hour, for boxes that are owned: rent already contains it."""

    usd_per_kwh: Amount
    """What a kilowatt-hour costs, USD."""
    unit: Literal["USD/kWh"] = "USD/kWh"
    """What usd_per_kwh is."""
    commitment: Words = NOT_STATED
    """Which customers or contract."""
    basis: Literal["tariff", "statistics", "invoice", "declared"]
    """tariff: a supplier's; statistics: an average of many customers; invoice: yours; declared: assumed."""


class FacilityPue(PriceRow):
    """What a building takes for each joule of its machines."""

    ratio: Annotated[float, Field(ge=1)]
    """Power usage effectiveness: at least 1."""
    unit: Literal["ratio"] = "ratio"
    """It has none."""
    basis: Literal["survey", "company-claim", "measured", "declared"]
    """survey: many buildings; company-claim: an owner's average; measured: yours; declared: assumed."""


class ApiListPrice(PriceRow):
    """What an API asks for a million tokens."""

    model: Words
    """Which model answers."""
    usd_per_1m_input: Annotated[float, Field(ge=0)]
    """Price of a million input tokens, USD; 0 where they are free."""
    usd_per_1m_output: Amount
    """Price of a million output tokens, USD."""
    usd_per_1m_cached: Annotated[float, Field(ge=0)] | None = None
    """Price of a million cached input tokens, USD; as other input where left out."""
    unit: Literal["USD/1M tokens"] = "USD/1M tokens"
    """What the amounts are."""
    basis: Literal["list-price", "invoice", "declared"]
    """list-price: the seller's page; invoice: yours; declared: assumed."""
