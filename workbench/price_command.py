"""What `kilotoken price` does: a finished run on other terms, as one document. Reads files only; writes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from accounting.break_even import blended_usd_per_1k_output
from accounting.errors import ConfigError, RunError
from accounting.holding import Holding, bought, rented, usd_per_1k
from accounting.prices import Price
from accounting.routing import cascaded_usd_per_1k, least_share_for_a_cascade, routed_usd_per_1k
from accounting.sensitivity import MOVED_SHARE
from workbench.repricing import (
    Place,
    Row,
    Terms,
    break_even_of,
    places,
    priced_place,
    sensitivity_of,
    token_times,
)
from workbench.run_directory import RunDirectory

FORMAT = "kilotoken-price/1"
SECONDS_PER_DAY = 86_400.0

#: Workload -> USD per 1k of another run, and whose they are.
OtherCosts = dict[str, tuple[float, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """A box bought; watts None where the run's own measurement is meant."""

    usd: float
    years: float
    usd_per_kwh: float
    pue: float
    busy_watts: float | None
    idle_watts: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPrice:
    """USD per million tokens that an API asks."""

    usd_per_1m_output: float
    usd_per_1m_input: float = 0.0
    usd_per_1m_cached: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRequest:
    """On which terms, and against what. Without `rent` and `purchase` the run's own price stands."""

    rent: Price | None = None
    purchase: Purchase | None = None
    duty_cycle: float = 1.0
    starts_per_day: float = 0.0
    api: ApiPrice | None = None
    against: Path | None = None
    route_share: float | None = None


def price_document(run: RunDirectory, request: PriceRequest, *, today: date) -> dict[str, Any]:
    """Everything that `kilotoken price --json` says.

    Raises:
        ConfigError: for terms that say nothing that can be.
        RunError: if the run has no valid cell, or its files cannot be read.
    """
    cells = run.read_json("measures.json")["cells"]
    own = run.experiment().price.to_price()
    found = places(cells)
    if not found:
        raise RunError(
            f"{run.path} has no cell whose throughput is valid: there is nothing to price.",
            hint=f"`kilotoken show {run.path}` says why each is not.",
        )
    startup_s = _startup_s(run)
    try:
        inputs, other = _inputs(request, own, cells), _other_costs(request)
        holding, (source, as_of) = _holding(inputs), _dated(request, own, today)
        terms = Terms(
            holding=holding,
            duty_cycle=request.duty_cycle,
            start_up_share=request.starts_per_day * (startup_s or 0.0) / SECONDS_PER_DAY,
            source=source,
            as_of=as_of.isoformat(),
        )
        times = {arm: token_times(cells, arm) for arm in dict.fromkeys(place.arm for place in found)}
        rows = [priced_place(place, terms, times[place.arm]) for place in found]
        as_measured = rented(own.usd_per_hour)
        for row, place in zip(rows, found, strict=True):
            row["usd_per_1k_as_measured"] = usd_per_1k(as_measured, place.tokens_per_s)
        document = {
            "format": FORMAT,
            "run": str(run.path),
            "terms": _terms(terms, request, startup_s)
            | {"electricity": _electricity(request, inputs, cells)},
            "places": rows,
            "break_even": _break_even(found, holding, request.api, other),
            "sensitivity": _sensitivity(found, rows, {"duty_cycle": request.duty_cycle, **inputs}),
            "routing": _routing(found, rows, request, other),
        }
    except ValueError as error:
        raise ConfigError(f"{error}.") from error
    return document


def _inputs(request: PriceRequest, own: Price, cells: list[Row]) -> dict[str, float]:
    """The amounts that the holding follows from, by name: of a purchase, or the rent alone."""
    bill = request.purchase
    if bill is None:
        return {"usd_per_hour": (request.rent or own).usd_per_hour}
    watts = bill.busy_watts if bill.busy_watts is not None else _measured_watts(cells)
    if watts is None:
        raise ConfigError(
            "a bought box pays for its electricity, and the run did not measure what it drew.",
            hint="Give --busy-watts (and --idle-watts), from a meter or the maker's sheet.",
        )
    return {
        "purchase_usd": bill.usd, "years": bill.years, "usd_per_kwh": bill.usd_per_kwh, "pue": bill.pue,
        "busy_watts": watts, "idle_watts": bill.idle_watts,
    }  # fmt: skip


def _holding(inputs: Mapping[str, float]) -> Holding:
    if "usd_per_hour" in inputs:
        return rented(inputs["usd_per_hour"])
    return bought(
        inputs["purchase_usd"],
        inputs["years"],
        busy_watts=inputs["busy_watts"],
        idle_watts=inputs["idle_watts"],
        usd_per_kwh=inputs["usd_per_kwh"],
        pue=inputs["pue"],
    )


def _dated(request: PriceRequest, own: Price, today: date) -> tuple[str, date]:
    """Where the price comes from, and of which day it is."""
    bill = request.purchase
    if bill is not None:
        return f"bought for {bill.usd:,.0f} $ over {bill.years:g} years", today
    price = request.rent or own
    return price.source, price.as_of


def _measured_watts(cells: list[Row]) -> float | None:
    """Mean watts of the cells that measured them; None if any did not."""
    watts = [(cell.get("energy") or {}).get("watts") for cell in cells]
    known = [value for value in watts if value is not None]
    return sum(known) / len(known) if known and len(known) == len(watts) else None


def _electricity(request: PriceRequest, inputs: Mapping[str, float], cells: list[Row]) -> str | None:
    """Whose watts a bought box pays for; None where electricity is in the rent."""
    if request.purchase is None:
        return None
    busy = f"{inputs['busy_watts']:,.0f} W when busy"
    if request.purchase.busy_watts is not None:
        return f"{busy}, as given"
    covered = dict.fromkeys(" and ".join(cell["energy"]["covers"]) for cell in cells)
    return f"{busy}, as the run measured: {'; '.join(covered)} alone, nothing else in the box"


def _startup_s(run: RunDirectory) -> float | None:
    """Median seconds that a server of this run took to start."""
    found = []
    for path in (run.path / "blocks").glob("*/block.json"):
        seconds = json.loads(path.read_text(encoding="utf-8")).get("startup_s")
        found += [] if seconds is None else [seconds]
    return median(found) if found else None


def _terms(terms: Terms, request: PriceRequest, startup_s: float | None) -> Row:
    return {
        "usd_per_hour_by_part": dict(terms.holding.parts),
        "usd_per_busy_hour": terms.holding.usd_per_busy_hour(terms.duty_cycle),
        "duty_cycle": terms.duty_cycle,
        "starts_per_day": request.starts_per_day,
        "start_up_s": startup_s,
        "start_up_share": terms.start_up_share,
        "source": terms.source,
        "as_of": terms.as_of,
    }


def _break_even(found: list[Place], holding: Holding, api: ApiPrice | None, other: OtherCosts) -> list[Row]:
    rows = []
    for place in found:
        if api is not None:
            rows.append(break_even_of(place, holding, _api_per_1k(place, api), "the API"))
        if place.workload in other:
            usd, name = other[place.workload]
            rows.append(break_even_of(place, holding, usd, f"{name}, held only while it is busy"))
    return rows


def _api_per_1k(place: Place, api: ApiPrice) -> float:
    work = place.work
    asked = 0.0 if work is None else work.prefill_tokens + work.cached_tokens
    if work is None and api.usd_per_1m_input > 0:
        raise ConfigError(
            "the run does not say how many input tokens came with its output.",
            hint="Give --api-usd-per-1m-input 0 and a blended --api-usd-per-1m-output, or evaluate it again: `kilotoken report`.",
        )
    cached = 0.0 if not asked or work is None else work.cached_tokens / asked
    return blended_usd_per_1k_output(
        api.usd_per_1m_input,
        api.usd_per_1m_output,
        asked / place.output_tokens,
        usd_per_1m_cached=api.usd_per_1m_cached,
        cached_share=cached,
    )


def _other_costs(request: PriceRequest) -> OtherCosts:
    """Of the other run: its least cost per 1k on each workload, at its own price, and whose it is; empty without one."""
    if request.against is None:
        return {}
    other = RunDirectory.open(request.against)
    holding = rented(other.experiment().price.usd_per_hour)
    costs: OtherCosts = {}
    for place in places(other.read_json("measures.json")["cells"]):
        cost = (usd_per_1k(holding, place.tokens_per_s), f"{place.arm} of {other.path.name}")
        costs[place.workload] = min(cost, costs.get(place.workload, cost))
    return costs


def _routing(found: list[Place], rows: list[Row], request: PriceRequest, other: OtherCosts) -> list[Row]:
    """A share answered here, the rest by the other run's server."""
    if request.route_share is None:
        return []
    if request.against is None:
        raise ConfigError(
            "--route-share needs the larger server's run.",
            hint="Give it with --against RUN; its own price is taken.",
        )
    routed = []
    for place, row in zip(found, rows, strict=True):
        if place.workload not in other:
            continue
        small, (large, name) = row["usd_per_1k_output_tokens"], other[place.workload]
        routed.append(
            {
                "arm": place.arm, "workload": place.workload, "load": place.load, "large": name,
                "share": request.route_share, "small_usd_per_1k": small, "large_usd_per_1k": large,
                "routed_usd_per_1k": routed_usd_per_1k(request.route_share, small, large),
                "cascaded_usd_per_1k": cascaded_usd_per_1k(request.route_share, small, large),
                "least_share_for_a_cascade": least_share_for_a_cascade(small, large),
            }
        )  # fmt: skip
    return routed


def _sensitivity(found: list[Place], rows: list[Row], inputs: dict[str, float]) -> Row:
    """Of the cheapest place: which input moves its cost most."""

    def cost(given: Mapping[str, float]) -> float:
        return usd_per_1k(_holding(given), given["output_tokens_per_s"], duty_cycle=given["duty_cycle"])

    place, _ = min(zip(found, rows, strict=True), key=lambda pair: pair[1]["usd_per_1k_output_tokens"])
    return {
        "arm": place.arm, "workload": place.workload, "load": place.load, "moved_by": MOVED_SHARE,
        "inputs": sensitivity_of(place, inputs, cost),
    }  # fmt: skip
