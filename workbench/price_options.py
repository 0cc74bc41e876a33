"""The options of `kilotoken price` -> what it is asked. An option that would be ignored is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from accounting.errors import ConfigError
from workbench.given_price import price_and_warnings
from workbench.given_rates import Warnings, given_api, given_pue, given_tariff, named_api
from workbench.price_request import ApiPrice, Electricity, PriceRequest, Purchase

#: Years until a bought box is worth nothing, where none are given.
YEARS = 4.0
#: Option -> the one without which it would be ignored.
_GOES_WITH = {
    "devices": "price",
    "years": "buy_usd",
    "pue": "usd_per_kwh",
    "busy_watts": "usd_per_kwh",
    "idle_watts": "usd_per_kwh",
    "start_up_s": "starts_per_day",
    "api_usd_per_1m_input": "api_usd_per_1m_output",
    "api_usd_per_1m_cached": "api_usd_per_1m_output",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceOptions:
    """The options by their names; None where one was not given."""

    price: str | None = None
    usd_per_hour: float | None = None
    devices: int | None = None
    buy_usd: float | None = None
    years: float | None = None
    usd_per_kwh: str | None = None
    pue: str | None = None
    busy_watts: float | None = None
    idle_watts: float | None = None
    duty_cycle: float = 1.0
    starts_per_day: float | None = None
    start_up_s: float | None = None
    api: str | None = None
    api_usd_per_1m_output: float | None = None
    api_usd_per_1m_input: float | None = None
    api_usd_per_1m_cached: float | None = None
    against: Path | None = None
    route_share: float | None = None


def request_of(options: PriceOptions, today: date) -> PriceRequest:
    """What these options ask.

    Raises:
        ConfigError: for options that contradict each other, would be ignored, or are no amounts or names.
    """
    _refuse_what_would_be_ignored(options)
    devices = 1 if options.devices is None else options.devices
    rent, of_rent = price_and_warnings(options.price, options.usd_per_hour, today, devices=devices)
    purchase = _purchase(options)
    electricity, of_electricity = _electricity(options, today)
    api, of_api = _api(options, today)
    return PriceRequest(
        rent=rent,
        purchase=purchase,
        electricity=electricity,
        duty_cycle=options.duty_cycle,
        starts_per_day=_at_least_nothing("starts_per_day", options.starts_per_day) or 0.0,
        start_up_s=_at_least_nothing("start_up_s", options.start_up_s),
        api=api,
        against=options.against,
        route_share=options.route_share,
        warnings=(*of_rent, *of_electricity, *of_api),
    )


def _refuse_what_would_be_ignored(options: PriceOptions) -> None:
    for name, needed in _GOES_WITH.items():
        if getattr(options, name) is not None and getattr(options, needed) is None:
            raise ConfigError(
                f"{_flag(name)} goes with {_flag(needed)} only: alone it would be ignored.",
                hint=f"Give {_flag(needed)} too, or leave it out.",
            )
    if options.route_share is not None and options.against is None:
        raise ConfigError(
            "--route-share needs the larger server's run.",
            hint="Give it with --against RUN; its own price is taken.",
        )


def _purchase(options: PriceOptions) -> Purchase | None:
    if options.buy_usd is None:
        return None
    if options.price is not None or options.usd_per_hour is not None:
        raise ConfigError("a box is rented or bought.", hint="Give --buy-usd, or --price or --usd-per-hour.")
    if options.usd_per_kwh is None:
        raise ConfigError(
            "--buy-usd needs --usd-per-kwh: a bought box pays for its electricity.",
            hint="`kilotoken prices` lists dated tariffs, which it takes by name.",
        )
    return Purchase(usd=options.buy_usd, years=YEARS if options.years is None else options.years)


def _electricity(options: PriceOptions, today: date) -> tuple[Electricity | None, Warnings]:
    if options.usd_per_kwh is None:
        return None, ()
    tariff, of_tariff = given_tariff(options.usd_per_kwh, today)
    pue, of_pue = (None, ()) if options.pue is None else given_pue(options.pue, today)
    bill = Electricity(
        usd_per_kwh=tariff,
        pue=pue,
        busy_watts=_at_least_nothing("busy_watts", options.busy_watts),
        idle_watts=_at_least_nothing("idle_watts", options.idle_watts),
    )
    return bill, of_tariff + of_pue


def _api(options: PriceOptions, today: date) -> tuple[ApiPrice | None, Warnings]:
    if options.api is not None:
        if options.api_usd_per_1m_output is not None:
            raise ConfigError("--api and --api-usd-per-1m-output are two prices.", hint="Give one of them.")
        return named_api(options.api, today)
    if options.api_usd_per_1m_output is None:
        return None, ()
    amounts = (options.api_usd_per_1m_output, options.api_usd_per_1m_input, options.api_usd_per_1m_cached)
    return given_api(*amounts, today), ()


def _at_least_nothing(name: str, amount: float | None) -> float | None:
    if amount is not None and not (math.isfinite(amount) and amount >= 0):
        raise ConfigError(f"{_flag(name)} must be a number of at least 0, not {amount:g}.")
    return amount


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
