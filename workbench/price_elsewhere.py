"""What a run is compared with: an API's price of the same tokens, or a bigger box's run. Break-even, and two servers together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from accounting.break_even import BreakEven, blended_usd_per_1k_output, break_even
from accounting.errors import ConfigError
from accounting.holding import Holding, rented
from accounting.routing import cascaded_usd_per_1k, least_share_for_a_cascade, routed_usd_per_1k
from workbench.price_request import ApiPrice
from workbench.priced_run import PricedRun, read_priced, start_up
from workbench.repricing import Hours, Place, Row, cost_of, places
from workbench.run_directory import RunDirectory

#: A box that is rented by the hour for this work alone, and given back.
ALWAYS_BUSY = Hours(duty_cycle=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BiggerBox:
    """Another run at its own price: the cheapest place of each workload."""

    run: PricedRun
    holding: Holding
    best: Mapping[str, Place]

    def cost(self, workload: str, hours: Hours) -> tuple[float, str]:
        """USD per 1k of its cheapest place, and whose it is."""
        place = self.best[workload]
        return cost_of(place, self.holding, hours), f"{place.arm} of {self.run.path.name}"


def bigger_box(path: Path, here: PricedRun, today: date) -> BiggerBox:
    """The run of `--against`.

    Raises:
        RunError: if it cannot be read, or no valid cell of it counts.
        ConfigError: if it measured none of this run's workloads.
    """
    run = read_priced(RunDirectory.open(path), today)
    best: dict[str, Place] = {}
    for place in places(run.cells):
        known = best.setdefault(place.workload, place)
        best[place.workload] = max(known, place, key=lambda one: one.tokens_per_s)
    ours = list(dict.fromkeys(cell["workload"] for cell in here.cells))
    if not best.keys() & set(ours):
        raise ConfigError(
            f"{path} measured none of this run's workloads: {', '.join(best)} there, {', '.join(ours)} here.",
            hint="Give a run of the same workloads with --against.",
        )
    return BiggerBox(run=run, holding=rented(run.price.usd_per_hour), best=best)


def not_compared(box: BiggerBox | None, found: Sequence[Place]) -> list[str]:
    """Workloads of this run that the other has no valid cell of, each as a sentence."""
    if box is None:
        return []
    missing = dict.fromkeys(place.workload for place in found if place.workload not in box.best)
    return [f"{box.run.path} has no valid cell of {name}: nothing is compared on it." for name in missing]


def break_evens(
    found: Sequence[tuple[Place, Holding]], hours: Hours, api: ApiPrice | None, box: BiggerBox | None
) -> list[Row]:
    """From which duty cycle on each place's box is cheaper than tokens elsewhere, with the sentence."""
    rows = []
    for place, holding in found:
        if api is not None:
            rows.append(_break_even(place, holding, hours, (_api_per_1k(place, api), "the API")))
        if box is not None and place.workload in box.best:
            usd, name = box.cost(place.workload, ALWAYS_BUSY)
            rows.append(_break_even(place, holding, hours, (usd, f"{name}, held only while it is busy")))
    return rows


def _break_even(place: Place, holding: Holding, hours: Hours, elsewhere: tuple[float, str]) -> Row:
    usd, name = elsewhere
    found = break_even(holding, place.tokens_per_s, usd, start_up_share=hours.start_up_share)
    return {
        "arm": place.arm, "workload": place.workload, "load": place.load, "elsewhere": name,
        "elsewhere_usd_per_1k": usd, "duty_cycle": found.duty_cycle,
        "sentence": _sentence(found, place.words, name, ", starts included" if hours.start_up_share else ""),
    }  # fmt: skip


def _sentence(found: BreakEven, who: str, elsewhere: str, starts: str) -> str:
    prices = f"{found.full_usd_per_1k:.4g} against {found.elsewhere_usd_per_1k:.4g} $ per 1k output tokens"
    if found.duty_cycle is None:
        return f"{who} is dearer than {elsewhere} even if it is always busy ({prices}{starts})."
    hours = found.duty_cycle * 24
    return (
        f"{who} is cheaper than {elsewhere} from a duty cycle of {found.duty_cycle:.1%} on, {hours:.1f} busy hours a day"
        f"{starts} (always busy: {prices})."
    )


def _api_per_1k(place: Place, api: ApiPrice) -> float:
    """What the API asks for 1000 output tokens of a place and the input that came with them."""
    asked, cached = place.prompt_tokens, place.cached_prompt_tokens
    if asked is None and (api.usd_per_1m_input or api.usd_per_1m_cached):
        raise ConfigError(
            "the run does not say how many input tokens came with its output.",
            hint="Give --api-usd-per-1m-input 0 and a blended --api-usd-per-1m-output, or evaluate it again: `kilotoken report`.",
        )
    if cached is None and asked is not None and api.usd_per_1m_cached is not None:
        raise ConfigError(
            "the run does not say how many of its input tokens were cached.",
            hint="Leave --api-usd-per-1m-cached out: all input is then billed at the price of input.",
        )
    return blended_usd_per_1k_output(
        api.usd_per_1m_input,
        api.usd_per_1m_output,
        0.0 if asked is None else asked / place.output_tokens,  # nothing is billed for it then
        usd_per_1m_cached=api.usd_per_1m_cached,
        cached_share=cached / asked if cached and asked else 0.0,
    )


def routings(
    found: Sequence[tuple[Place, float]], hours: Hours, share: float, box: BiggerBox, start: tuple[float, float | None]
) -> list[Row]:  # fmt: skip
    """A share answered here, the rest by the other run's server; both held all day, at one duty cycle and as many starts.

    `start`: starts a day, and seconds of one where they were given; else each server's own.

    Raises:
        ConfigError: if how long the other server takes to start is not known.
        ValueError: for a share that is none, or starts that leave nothing of the other server's busy hours.
    """
    _, starts = start_up(RunDirectory.open(box.run.path), *start)
    there = Hours(duty_cycle=hours.duty_cycle, start_up_share=starts)
    rows: list[dict[str, Any]] = []
    for place, small in found:
        if place.workload not in box.best:
            continue
        large, name = box.cost(place.workload, there)
        rows.append(
            {
                "arm": place.arm, "workload": place.workload, "load": place.load, "large": name, "share": share,
                "duty_cycle": hours.duty_cycle, "starts_per_day": start[0],
                "small_usd_per_1k": small, "large_usd_per_1k": large,
                "routed_usd_per_1k": routed_usd_per_1k(share, small, large),
                "cascaded_usd_per_1k": cascaded_usd_per_1k(share, small, large),
                "least_share_for_a_cascade": least_share_for_a_cascade(small, large),
            }
        )  # fmt: skip
    return rows
