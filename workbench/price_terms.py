"""The terms of a re-priced run: what holding its box costs at each place, in words and with every source and date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from accounting.electricity import LEAST_PUE
from accounting.holding import Holding, bought, rented, with_electricity
from accounting.prices import Price
from workbench.given_price import GIVEN
from workbench.price_request import Electricity, PriceRequest
from workbench.repricing import Place

Row = dict[str, Any]


def amounts_at(place: Place, request: PriceRequest, own: Price) -> dict[str, float]:
    """The amounts that a place's holding follows from, by name; those that are not given are not in it."""
    if request.purchase is None:
        amounts = {"usd_per_hour": (request.rent or own).usd_per_hour}
    else:
        amounts = {"purchase_usd": request.purchase.usd, "years": request.purchase.years}
    bill = request.electricity
    if bill is None:
        return amounts
    found = {
        "usd_per_kwh": bill.usd_per_kwh.amount,
        "pue": None if bill.pue is None else bill.pue.amount,
        "busy_watts": place.watts if bill.busy_watts is None else bill.busy_watts,
        "idle_watts": bill.idle_watts,
    }
    return amounts | {name: amount for name, amount in found.items() if amount is not None}


def holding_of(amounts: Mapping[str, float]) -> Holding:
    """What holding the box costs.

    Raises:
        ValueError: for an amount that is none, or watts that are lower when busy than when idle.
    """
    if "usd_per_hour" in amounts:
        box = rented(amounts["usd_per_hour"])
    else:
        box = bought(amounts["purchase_usd"], amounts["years"])
    if "usd_per_kwh" not in amounts:
        return box
    return with_electricity(
        box,
        busy_watts=amounts["busy_watts"],
        idle_watts=amounts.get("idle_watts", 0.0),
        usd_per_kwh=amounts["usd_per_kwh"],
        pue=amounts.get("pue", LEAST_PUE),
    )


def lacks_watts(place: Place, request: PriceRequest) -> bool:
    """Whether electricity is to be paid for, and nobody knows what the box drew at this place."""
    bill = request.electricity
    return bill is not None and bill.busy_watts is None and place.watts is None


def electricity_words(priced: Sequence[Place], request: PriceRequest) -> str:
    """Whether rent contains electricity, whose watts are paid for, and what is left out."""
    bill = request.electricity
    if bill is None:
        return "contained in the rent (with --usd-per-kwh it comes on top)"
    on_top = [] if request.purchase is not None else ["on top of the rent, because a tariff is given"]
    idle = (
        "idle watts are not given, so that hours without work take none here (--idle-watts)"
        if bill.idle_watts is None
        else f"{bill.idle_watts:,.0f} W when idle, as given"
    )
    building = ["no PUE, so that the building takes nothing here (--pue)"] if bill.pue is None else []
    return "; ".join([*on_top, _busy_words(priced, bill), idle, *building])


def _busy_words(priced: Sequence[Place], bill: Electricity) -> str:
    if bill.busy_watts is not None:
        return f"{bill.busy_watts:,.0f} W when busy, as given"
    watts = [place.watts for place in priced if place.watts is not None]
    spread = dict.fromkeys(f"{value:,.0f}" for value in (min(watts), max(watts)))
    covered = dict.fromkeys(words for place in priced for words in place.covers)
    each = ", each arm and load its own" if len(spread) > 1 else ""
    return f"{' to '.join(spread)} W when busy, as the run measured{each} ({'; '.join(covered)} alone, nothing else in the box)"


def sources(request: PriceRequest, own: Price, other: Price | None, today: date) -> list[Row]:
    """Every amount in dollars, and PUE, with where it comes from and when."""
    rows = []
    if request.purchase is not None:
        price = f"{request.purchase.usd:,.0f} $ over {request.purchase.years:g} years"
        rows.append(_source("purchase", price, GIVEN, today))
    else:
        rent = request.rent or own
        rows.append(_source("rent", f"{rent.usd_per_hour:g} $ per hour", rent.source, rent.as_of))
    if (bill := request.electricity) is not None:
        tariff = bill.usd_per_kwh
        rows.append(_source("tariff", f"{tariff.amount:g} $ per kWh", tariff.source, tariff.as_of))
        if bill.pue is not None:
            rows.append(_source("PUE", f"{bill.pue.amount:g}", bill.pue.source, bill.pue.as_of))
    if (api := request.api) is not None:
        rows.append(_source("API", api.words, api.source, api.as_of))
    if other is not None:
        rows.append(_source("the other run", f"{other.usd_per_hour:g} $ per hour", other.source, other.as_of))
    return rows


def _source(what: str, amount: str, source: str, as_of: date) -> Row:
    return {"what": what, "amount": amount, "source": source, "as_of": as_of.isoformat()}
