"""What two arms are compared by: each metric's value in a cell, which way is better, and when it may be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accounting.comparison import Word
from accounting.verdicts import POOLABLE, Verdict
from workbench.loads import CAPACITY, is_rate

Cell = dict[str, Any]

#: At a fixed offered rate an arm that keeps up delivers what was asked for, so held time per token is the same.
EQUAL_BY_CONSTRUCTION = "equal by construction"
BY_CONSTRUCTION = (
    "at a fixed offered rate every arm that keeps up costs the same: compare latency, or capacities"
)


def cost_metric(load: str) -> str:
    """The metric that decides about cost at a load: within the SLO at capacity, all tokens elsewhere."""
    return "slo_cost" if load == CAPACITY else "cost"


@dataclass(frozen=True, slots=True)
class Metric:
    """`value` reads it from a cell's measures and its cost. The words are for a ratio below and above 1."""

    key: str
    title: str
    value: Callable[[Cell, Cell], float | None]
    below: str
    above: str
    higher_is_better: bool = False
    quantile: str = ""  # p50 or p95 for latencies
    within_slo: bool = False

    def word(self, word: Word) -> str:
        """The word of cost in this metric's own terms: `faster` for a smaller latency."""
        return {Word.CHEAPER: self.below, Word.DEARER: self.above}.get(word, str(word))

    def usable(self, measured: Cell, cost: Cell) -> tuple[float | None, str]:
        """The value of a cell, or None and why it may not be compared."""
        verdict = measured["verdict"]
        if missed := measured.get("floor_missed"):
            return None, str(missed)
        if verdict["throughput"] != Verdict.VALID:
            return None, f"throughput is {verdict['throughput']}"
        # A p50 has a sample floor of its own: tails that lack answers for a p95 do not touch it.
        allowed = POOLABLE if self.quantile == "p50" else {Verdict.VALID}
        if self.quantile and verdict["tails"] not in allowed:
            return None, f"tails are {verdict['tails']}"
        value = self.value(measured, cost)
        if value is None or value <= 0:
            return None, "not measured" if value is None else "zero"
        return value, ""


def decided_by_rate(metric: Metric, load: str) -> bool:
    """Whether the offered rate decides this metric at this load, whatever the arm: all tokens, never those within the SLO."""
    return metric.key in ("cost", "tokens_per_s") and is_rate(load)


def _goodput(measured: Cell, _: Cell) -> float | None:
    share = measured["slo_token_share"]["value"]
    speed = measured["output_tokens_per_s"]
    return None if share is None or speed is None else float(share * speed)


def _latency(name: str, quantile: str) -> Metric:
    return Metric(
        f"{name}_{quantile}",
        f"{name.upper()} {quantile} (s)",
        lambda measured, _: measured[f"{name}_s"][quantile],
        "faster",
        "slower",
        quantile=quantile,
    )


METRICS = {
    metric.key: metric
    for metric in (
        Metric(
            "cost", "$ per 1k output tokens", lambda _, c: c["usd_per_1k_output_tokens"], "cheaper", "dearer"
        ),
        Metric(
            "slo_cost",
            "$ per 1k SLO output tokens",
            lambda _, c: c["usd_per_1k_slo_output_tokens"],
            "cheaper",
            "dearer",
            within_slo=True,
        ),
        Metric(
            "tokens_per_s", "output tokens/s", lambda m, _: m["output_tokens_per_s"], "less", "more", True
        ),
        Metric("goodput", "goodput (SLO tokens/s)", _goodput, "less", "more", True, within_slo=True),
        *(_latency(name, quantile) for name in ("ttft", "tpot") for quantile in ("p50", "p95")),
    )
}
