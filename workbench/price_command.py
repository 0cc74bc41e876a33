"""What `kilotoken price` does: a finished run on other terms, as one document. Reads files only; writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from accounting.errors import ConfigError
from accounting.holding import IDLE_PART, Holding, rented, usd_per_1k
from accounting.sensitivity import MOVED_SHARE, sensitivity
from workbench.price_elsewhere import (
    ALWAYS_BUSY,
    BiggerBox,
    bigger_box,
    break_evens,
    not_compared,
    routings,
)
from workbench.price_request import PriceRequest
from workbench.price_terms import amounts_at, electricity_words, holding_of, lacks_watts, sources
from workbench.priced_run import PricedRun, read_priced, start_up
from workbench.repricing import Hours, Place, Row, cost_of, places, priced_place, token_times
from workbench.run_directory import RunDirectory

FORMAT = "kilotoken-price/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Priced:
    """One place, the amounts that its holding follows from, and its row of the document."""

    place: Place
    amounts: Mapping[str, float]
    holding: Holding
    row: Row

    @property
    def usd_per_1k(self) -> float:
        return float(self.row["usd_per_1k_output_tokens"])


def price_document(run: RunDirectory, request: PriceRequest, *, today: date) -> dict[str, Any]:
    """Everything that `kilotoken price --json` says.

    Raises:
        ConfigError: for terms that say nothing that can be.
        RunError: if no valid cell of a run counts, or its files cannot be read.
    """
    here = read_priced(run, today)
    box = None if request.against is None else bigger_box(request.against, here, today)
    start_up_s, share = start_up(run, request.starts_per_day, request.start_up_s)
    hours = Hours(duty_cycle=request.duty_cycle, start_up_share=share)
    found = places(here.cells)
    try:
        priced = _priced(here, found, request, hours)
        cheapest = min(priced, key=lambda one: one.usd_per_1k)
        return {
            "format": FORMAT,
            "run": str(run.path),
            "terms": _terms(priced, cheapest, hours)
            | {
                "starts_per_day": request.starts_per_day,
                "start_up_s": start_up_s,
                "electricity": electricity_words([one.place for one in priced], request),
                "sources": sources(request, here.price, None if box is None else box.run.price, today),
            },
            "places": [one.row for one in priced],
            "break_even": break_evens([(one.place, one.holding) for one in priced], hours, request.api, box),
            "sensitivity": _sensitivity(cheapest, hours),
            "routing": _routing(priced, request, hours, box),
            "notes": [
                f"{place.words} is not priced: none of its windows measured what the box drew (--busy-watts)."
                for place in found
                if lacks_watts(place, request)
            ]
            + not_compared(box, found),
            "warnings": _warnings(request, here, box),
        }
    except ValueError as error:
        raise ConfigError(f"{error}.") from error


def _priced(here: PricedRun, found: list[Place], request: PriceRequest, hours: Hours) -> list[_Priced]:
    times = {arm: token_times(here.cells, arm) for arm in dict.fromkeys(place.arm for place in found)}
    as_measured = rented(here.price.usd_per_hour)
    priced = []
    for place in found:
        if lacks_watts(place, request):
            continue
        amounts = amounts_at(place, request, here.price)
        holding = holding_of(amounts)
        row = priced_place(place, holding, hours, times[place.arm])
        row["usd_per_1k_as_measured"] = cost_of(place, as_measured, ALWAYS_BUSY)
        row["busy_watts"] = amounts.get("busy_watts")
        priced.append(_Priced(place=place, amounts=amounts, holding=holding, row=row))
    if not priced:
        raise ConfigError(
            "electricity is to be paid for, and the run did not measure what it drew.",
            hint="Give --busy-watts (and --idle-watts), from a meter or the maker's sheet.",
        )
    return priced


def _terms(priced: list[_Priced], cheapest: _Priced, hours: Hours) -> Row:
    """Of the cheapest place, which is named where others draw other watts."""
    alike = all(one.holding == cheapest.holding for one in priced)
    return {
        "of": None if alike else cheapest.place.words,
        "usd_per_hour_by_part": _parts(cheapest),
        "usd_per_hour_of_work": cheapest.row["usd_per_hour_of_work"],
        "duty_cycle": hours.duty_cycle,
        "start_up_share": hours.start_up_share,
    }


def _parts(priced: _Priced) -> dict[str, float]:
    """USD per hour by part. Idle watts that nobody gave are no part: `electricity` says that they are left out."""
    known = "idle_watts" in priced.amounts
    return {name: usd for name, usd in priced.holding.parts if known or name != IDLE_PART}


def _routing(priced: list[_Priced], request: PriceRequest, hours: Hours, box: BiggerBox | None) -> list[Row]:
    if request.route_share is None or box is None:
        return []
    small = [(one.place, one.usd_per_1k) for one in priced]
    return routings(small, hours, request.route_share, box, (request.starts_per_day, request.start_up_s))


def _sensitivity(cheapest: _Priced, hours: Hours) -> Row:
    """Which input moves the cost of the cheapest place most: each by a fifth, the strongest first."""
    place = cheapest.place
    inputs = {"output_tokens_per_s": place.tokens_per_s, "duty_cycle": hours.duty_cycle, **cheapest.amounts}
    if hours.start_up_share:
        inputs["start_up_share"] = hours.start_up_share

    def cost(given: Mapping[str, float]) -> float:
        return usd_per_1k(
            holding_of(given), given["output_tokens_per_s"], duty_cycle=given["duty_cycle"],
            start_up_share=given.get("start_up_share", 0.0),
        )  # fmt: skip

    return {
        "arm": place.arm, "workload": place.workload, "load": place.load, "moved_by": MOVED_SHARE,
        "inputs": [
            {"input": one.name, "lower": one.lower, "higher": one.higher} for one in sensitivity(cost, inputs)
        ],
    }  # fmt: skip


def _warnings(request: PriceRequest, here: PricedRun, box: BiggerBox | None) -> list[str]:
    """Of every price that is used and old."""
    stands = request.rent is None and request.purchase is None
    found = (here.price_warning if stands else None, None if box is None else box.run.price_warning)
    return [*request.warnings, *(warning for warning in found if warning is not None)]
