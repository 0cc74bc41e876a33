"""A tariff, a PUE or an API's price that a command was given: by its name in the catalogue, or as an amount dated today."""

from __future__ import annotations

import math
from datetime import date
from typing import TypeVar

from accounting.electricity import LEAST_PUE
from accounting.errors import ConfigError
from workbench.catalogue_files import PRICES, user_file
from workbench.given_price import GIVEN
from workbench.price_catalogue import load_prices
from workbench.price_request import ApiPrice, Dated
from workbench.price_rows import ApiListPrice, ElectricityTariff, FacilityPue, PriceRow

Warnings = tuple[str, ...]
T = TypeVar("T", bound=PriceRow)


def given_tariff(words: str, today: date) -> tuple[Dated, Warnings]:
    """`--usd-per-kwh`: USD for a kilowatt-hour, or a row of [[electricity]].

    Raises:
        ConfigError: for a name that is none, or an amount that is not positive.
    """
    amount = _amount(words)
    if amount is None:
        row, warnings = _row(ElectricityTariff, words, today)
        return Dated(row.usd_per_kwh, _source(row), row.as_of), warnings
    if not (math.isfinite(amount) and amount > 0):
        raise ConfigError(
            f"--usd-per-kwh must be a positive number, not {amount:g}.",
            hint="`kilotoken prices` lists dated tariffs, which it takes by name.",
        )
    return Dated(amount, GIVEN, today), ()


def given_pue(words: str, today: date) -> tuple[Dated, Warnings]:
    """`--pue`: a ratio of at least 1, or a row of [[pue]].

    Raises:
        ConfigError: for a name that is none, or a ratio below 1.
    """
    amount = _amount(words)
    if amount is None:
        row, warnings = _row(FacilityPue, words, today)
        return Dated(row.ratio, _source(row), row.as_of), warnings
    if not (math.isfinite(amount) and amount >= LEAST_PUE):
        raise ConfigError(
            f"--pue is what a building takes over what its machines take, at least 1, not {amount:g}.",
            hint="`kilotoken prices` lists some, which it takes by name.",
        )
    return Dated(amount, GIVEN, today), ()


def named_api(name: str, today: date) -> tuple[ApiPrice, Warnings]:
    """`--api`: a row of [[api]].

    Raises:
        ConfigError: for a name that is none.
    """
    row, warnings = _row(ApiListPrice, name, today)
    price = ApiPrice(
        usd_per_1m_output=row.usd_per_1m_output,
        usd_per_1m_input=row.usd_per_1m_input,
        usd_per_1m_cached=row.usd_per_1m_cached,
        source=_source(row),
        as_of=row.as_of,
    )
    return price, warnings


def given_api(output: float, prompt: float | None, cached: float | None, today: date) -> ApiPrice:
    """The amounts of `--api-usd-per-1m-...`: those of output and input, and of cached input where it has another.

    Raises:
        ConfigError: without a price of input, or for amounts that are no prices.
    """
    if prompt is None:
        raise ConfigError(
            "--api-usd-per-1m-output needs --api-usd-per-1m-input: an API bills the input that comes with its output.",
            hint="Give 0 where its input is free, or where the price of output is a blended one.",
        )
    if not (math.isfinite(output) and output > 0):
        raise ConfigError(f"--api-usd-per-1m-output must be a positive number, not {output:g}.")
    for option, amount in (("input", prompt), ("cached", cached)):
        if amount is not None and not (math.isfinite(amount) and amount >= 0):
            raise ConfigError(f"--api-usd-per-1m-{option} must be a number of at least 0, not {amount:g}.")
    return ApiPrice(
        usd_per_1m_output=output, usd_per_1m_input=prompt, usd_per_1m_cached=cached, source=GIVEN, as_of=today
    )


def _amount(words: str) -> float | None:
    """The number that was written, None where it is a name."""
    try:
        return float(words)
    except ValueError:
        return None


def _row(kind: type[T], name: str, today: date) -> tuple[T, Warnings]:
    row = load_prices(user_file(PRICES), today=today).row_of(kind, name)
    warning = row.age_warning(today)
    return row, () if warning is None else (warning,)


def _source(row: ElectricityTariff | FacilityPue | ApiListPrice) -> str:
    return f"{row.id}: {row.source} ({row.region}, {row.basis})"
