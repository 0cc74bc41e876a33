"""A finished run on other terms: rented otherwise, or bought; at another duty cycle or tariff. Measures x holding, no server.

The valid cells of one arm, workload and load are put together: their tokens over their seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from accounting.cost import per_million, slo_cost
from accounting.holding import Holding, usd_per_1k
from accounting.missing import Measured, measured, not_measured
from accounting.token_shares import TokenTimes, WindowWork, fit_token_times, token_shares
from workbench.loads import load_of

Row = dict[str, Any]
Weighed = list[tuple[float | None, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Valid cells of one arm, workload and load, put together. Tokens and seconds of their windows.

    `watts`: mean over the windows that measured them, `watts_cells` of them, None where none did; `covers`: whose they are.
    Tokens of prompts are None where not every cell counted them.
    """

    arm: str
    workload: str
    load: str
    cells: int
    window_s: float
    output_tokens: float
    prompt_tokens: float | None
    cached_prompt_tokens: float | None
    requests: int
    slo_token_share: float | None
    busy_share: float | None
    watts: float | None
    watts_cells: int
    covers: tuple[str, ...]
    work: WindowWork | None

    @property
    def tokens_per_s(self) -> float:
        """Output tokens a second of the windows."""
        return self.output_tokens / self.window_s

    @property
    def words(self) -> str:
        """How sentences name it."""
        return f"{self.arm} on {self.workload} at {self.load}"


def places(cells: Iterable[Row]) -> list[Place]:
    """Put valid cells together, in the order of their first appearance."""
    grouped: dict[tuple[str, str, str], list[Row]] = {}
    for cell in cells:
        grouped.setdefault((cell["arm"], cell["workload"], load_of(cell)), []).append(cell)
    return [_place(key, group) for key, group in grouped.items()]


def _place(key: tuple[str, str, str], group: list[Row]) -> Place:
    works = [_work(cell) for cell in group]
    metered = [cell for cell in group if (cell.get("energy") or {}).get("watts") is not None]
    covered = dict.fromkeys(" and ".join(cell["energy"].get("covers", [])) for cell in metered)
    return Place(
        arm=key[0],
        workload=key[1],
        load=key[2],
        cells=len(group),
        window_s=sum(cell["window_s"] for cell in group),
        output_tokens=float(sum(cell["output_tokens"] for cell in group)),
        prompt_tokens=_sum([cell.get("prompt_tokens") for cell in group]),
        cached_prompt_tokens=_sum([cell.get("cached_prompt_tokens") for cell in group]),
        requests=sum(cell["requests"] for cell in group),
        slo_token_share=_mean([(cell["slo_token_share"]["value"], cell["output_tokens"]) for cell in group]),
        busy_share=_mean([(cell.get("busy_share"), cell["window_s"]) for cell in group]),
        watts=_mean([(cell["energy"]["watts"], cell["window_s"]) for cell in metered]),
        watts_cells=len(metered),
        covers=tuple(words for words in covered if words),
        work=_sum_of_work([work for work in works if work is not None]) if all(works) else None,
    )


def _mean(values: Weighed) -> float | None:
    """Weighted; None without values, or where one is not known."""
    if not values or any(value is None for value, _ in values):
        return None
    return sum(value * weight for value, weight in values if value is not None) / sum(w for _, w in values)


def _sum(values: list[float | None]) -> float | None:
    return None if None in values else float(sum(value for value in values if value is not None))


def _work(cell: Row) -> WindowWork | None:
    """What a cell's window did, None where it does not say."""
    steps, cached, prompts = (
        cell.get(key) for key in ("engine_steps", "cached_prompt_tokens", "prompt_tokens")
    )
    if not steps or cached is None or prompts is None:
        return None
    return WindowWork(
        window_s=cell["window_s"],
        steps=steps,
        prefill_tokens=prompts - cached,
        cached_tokens=cached,
        output_tokens=cell["output_tokens"],
    )


def _sum_of_work(works: list[WindowWork]) -> WindowWork:
    return WindowWork(
        window_s=sum(w.window_s for w in works),
        steps=sum(w.steps for w in works),
        prefill_tokens=sum(w.prefill_tokens for w in works),
        cached_tokens=sum(w.cached_tokens for w in works),
        output_tokens=sum(w.output_tokens for w in works),
    )


def token_times(cells: Sequence[Row], arm: str) -> TokenTimes | str:
    """What each kind of token takes on one arm's server, by its valid cells, or why that cannot be told."""
    own = [cell for cell in cells if cell["arm"] == arm]
    works = [work for work in map(_work, own) if work is not None]
    if len(works) < len(own):
        return "not every cell says how many steps the engine took (an older run, or a server that does not count them)"
    try:
        return fit_token_times(works)
    except ValueError as error:
        return str(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """How the hours of a day are used: shares of calendar hours that are busy, and of these that go into starts."""

    duty_cycle: float
    start_up_share: float = 0.0


def priced_place(place: Place, holding: Holding, hours: Hours, times: TokenTimes | str) -> Row:
    """One place on these terms: allocation and usage basis, shares, per request."""
    full = usd_per_1k(holding, place.tokens_per_s)
    allocated = cost_of(place, holding, hours)
    within = slo_cost(measured(allocated), _slo_token_share(place))
    return {
        "arm": place.arm,
        "workload": place.workload,
        "load": place.load,
        "cells": place.cells,
        "output_tokens_per_s": place.tokens_per_s,
        "usd_per_hour_of_work": holding.usd_per_hour_of_work(hours.duty_cycle, hours.start_up_share),
        "usd_per_1k_output_tokens": allocated,
        "usd_per_1m_output_tokens": per_million(allocated),
        "usd_per_1k_slo_output_tokens": within.value,
        "usd_per_1k_output_tokens_usage_basis": None if place.busy_share is None else full * place.busy_share,
        "usd_per_request": allocated * place.output_tokens / place.requests / 1000.0
        if place.requests
        else None,
        "shares": _shares(place, times),
        "reason": within.reason or None,
    }


def cost_of(place: Place, holding: Holding, hours: Hours) -> float:
    """USD per 1000 output tokens of a place, on the allocation basis."""
    return usd_per_1k(
        holding, place.tokens_per_s, duty_cycle=hours.duty_cycle, start_up_share=hours.start_up_share
    )


def _slo_token_share(place: Place) -> Measured:
    if place.slo_token_share is None:
        return not_measured("not every cell says which tokens came within the SLO")
    return measured(place.slo_token_share)


def _shares(place: Place, times: TokenTimes | str) -> Row:
    nothing = {"input": None, "cached_input": None, "output": None}
    if isinstance(times, str) or place.work is None:
        why = times if isinstance(times, str) else "its cells do not say what their windows did"
        return {**nothing, "reason": f"not measured, because {why}"}
    try:
        found = token_shares(place.work, times)
    except ValueError as error:
        return {**nothing, "reason": f"not measured, because {error}"}
    return {"input": found.input, "cached_input": found.cached_input, "output": found.output, "reason": None}
