"""A finished run at another price: rented otherwise, or bought; at another duty cycle or tariff. Measures x holding, no server.

Only cells whose throughput is valid are priced. The cells of one arm, workload and load are put together: their tokens over
their seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from accounting.break_even import BreakEven, break_even
from accounting.cost import per_million, slo_cost
from accounting.holding import Holding, usd_per_1k
from accounting.missing import Measured, measured, not_measured
from accounting.sensitivity import sensitivity
from accounting.token_shares import TokenTimes, WindowWork, fit_token_times, token_shares
from workbench.loads import load_of

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Valid cells of one arm, workload and load, put together. Tokens and seconds of their windows."""

    arm: str
    workload: str
    load: str
    cells: int
    window_s: float
    output_tokens: float
    requests: int
    slo_token_share: float | None
    busy_share: float | None
    work: WindowWork | None

    @property
    def tokens_per_s(self) -> float:
        """Output tokens a second of the windows."""
        return self.output_tokens / self.window_s


def places(cells: Sequence[Row]) -> list[Place]:
    """Put valid cells together, in the order of their first appearance."""
    grouped: dict[tuple[str, str, str], list[Row]] = {}
    for cell in cells:
        if cell["verdict"]["throughput"] == "valid" and cell["output_tokens"]:
            grouped.setdefault((cell["arm"], cell["workload"], load_of(cell)), []).append(cell)
    return [_place(key, group) for key, group in grouped.items()]


def _place(key: tuple[str, str, str], group: list[Row]) -> Place:
    window_s = sum(cell["window_s"] for cell in group)
    tokens = float(sum(cell["output_tokens"] for cell in group))
    works = [_work(cell) for cell in group]
    return Place(
        arm=key[0],
        workload=key[1],
        load=key[2],
        cells=len(group),
        window_s=window_s,
        output_tokens=tokens,
        requests=sum(cell["requests"] for cell in group),
        slo_token_share=_weighted(
            [(cell["slo_token_share"]["value"], cell["output_tokens"]) for cell in group]
        ),
        busy_share=_weighted([(cell["busy_share"], cell["window_s"]) for cell in group]),
        work=_sum_of_work([work for work in works if work is not None]) if all(works) else None,
    )


def _weighted(values: list[tuple[float | None, float]]) -> float | None:
    if any(value is None for value, _ in values):
        return None
    return sum(value * weight for value, weight in values if value is not None) / sum(w for _, w in values)


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
    """What each kind of token takes on one arm's server, or why that cannot be told."""
    valid = [
        c for c in cells if c["arm"] == arm and c["verdict"]["throughput"] == "valid" and c["output_tokens"]
    ]
    works = [work for work in map(_work, valid) if work is not None]
    if len(works) < len(valid):
        return "not every cell says how many steps the engine took (an older run, or a server that does not count them)"
    try:
        return fit_token_times(works)
    except ValueError as error:
        return str(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms a run is priced. `holding`: of the whole box."""

    holding: Holding
    duty_cycle: float
    start_up_share: float
    source: str
    as_of: str


def priced_place(place: Place, terms: Terms, times: TokenTimes | str) -> Row:
    """One place at these terms: allocation and usage basis, shares, per request."""
    full = usd_per_1k(terms.holding, place.tokens_per_s)
    allocated = usd_per_1k(
        terms.holding, place.tokens_per_s, duty_cycle=terms.duty_cycle, start_up_share=terms.start_up_share
    )
    within = slo_cost(measured(allocated), _slo_token_share(place))
    return {
        "arm": place.arm,
        "workload": place.workload,
        "load": place.load,
        "cells": place.cells,
        "output_tokens_per_s": place.tokens_per_s,
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


def break_even_of(place: Place, holding: Holding, elsewhere_usd_per_1k: float, elsewhere: str) -> Row:
    """From which duty cycle on this place's box is cheaper than tokens elsewhere, with the sentence."""
    found = break_even(holding, place.tokens_per_s, elsewhere_usd_per_1k)
    return {
        "arm": place.arm, "workload": place.workload, "load": place.load, "elsewhere": elsewhere,
        "elsewhere_usd_per_1k": elsewhere_usd_per_1k, "duty_cycle": found.duty_cycle,
        "sentence": break_even_sentence(found, f"{place.arm} on {place.workload} at {place.load}", elsewhere),
    }  # fmt: skip


def break_even_sentence(found: BreakEven, who: str, elsewhere: str) -> str:
    """What a person wants to hear."""
    prices = f"{found.full_usd_per_1k:.4g} against {found.elsewhere_usd_per_1k:.4g} $ per 1k output tokens"
    if found.duty_cycle is None:
        return f"{who} is dearer than {elsewhere} even if it is always busy ({prices})."
    hours = found.duty_cycle * 24
    return (
        f"{who} is cheaper than {elsewhere} from a duty cycle of {found.duty_cycle:.1%} on, {hours:.1f} busy hours a day "
        f"(always busy: {prices})."
    )


def sensitivity_of(place: Place, answer_inputs: Row, cost: Any) -> list[Row]:
    """How far the cost of one place moves with each input by a fifth, the strongest first."""
    found = sensitivity(cost, {"output_tokens_per_s": place.tokens_per_s, **answer_inputs})
    return [{"input": one.name, "lower": one.lower, "higher": one.higher} for one in found]
