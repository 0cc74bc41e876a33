from datetime import date
from typing import Any

import pytest

from accounting.prices import Price
from workbench.compared_arms import Question
from workbench.costing import _compared, price_cell
from workbench.loads import Level

PRICE = Price(3.6, "declared", date(2026, 11, 22))


def cell(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "arm": "plain", "workload": "chat", "streams": 1, "repeat": 1, "block": "r1-plain",
        "window_s": 30.0, "output_tokens": 1500, "token_source": "counters", "reconciled": True, "reconciliation": {"reason": ""},
        "slo_token_share": {"value": 0.5, "reason": None},
    }  # fmt: skip
    return {**values, **changes}


def test_cost_is_held_time_over_delivered_tokens() -> None:
    priced = price_cell(cell(), PRICE)
    assert priced["usd_per_1k_output_tokens"] == pytest.approx(0.02)
    assert priced["usd_per_1m_output_tokens"] == pytest.approx(20.0)
    assert priced["usd_per_1k_slo_output_tokens"] == pytest.approx(0.04)
    assert priced["usd_of_window"] == pytest.approx(0.03)
    assert priced["reason"] is None


def test_cost_is_withheld_where_tokens_do_not_reconcile() -> None:
    priced = price_cell(cell(reconciled=False, reconciliation={"reason": "off by 3"}), PRICE)
    assert priced["usd_per_1k_output_tokens"] is None
    assert priced["usd_per_1k_slo_output_tokens"] is None
    assert priced["reason"] == "withheld: off by 3"


def test_a_server_that_has_no_counters_is_priced_by_its_usage() -> None:
    """There is one count only and nothing contradicts it; the verdict keeps it out of every comparison."""
    only = {"token_source": "usage", "reconciled": False, "reconciliation": {"reason": "no counters"}}
    assert price_cell(cell(**only), PRICE)["usd_per_1k_output_tokens"] == pytest.approx(0.02)
    nothing = price_cell(cell(**only, output_tokens=None), PRICE)
    assert nothing["usd_per_1k_output_tokens"] is None
    assert nothing["reason"] == "no counters"


def run_cell(
    arm: str, repeat: int, load: str, cost: float, **changes: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    quantiles = {"p50": 0.01 / cost, "p95": None, "samples": 20, "reason": "20 samples"}
    measured = {
        "arm": arm, "workload": "chat", "load": load, "repeat": repeat, "ttft_s": quantiles, "tpot_s": quantiles,
        "verdict": {"throughput": "valid", "tails": "too_short"}, **changes,
    }  # fmt: skip
    return measured, {"usd_per_1k_output_tokens": cost, "usd_per_1k_slo_output_tokens": 2 * cost * cost}


def compared(level: Level, **changes: Any) -> dict[str, Any]:
    dice = iter((1.0, 1.01, 0.99, 1.0))
    cells = {}
    for repeat in range(1, 5):
        noise = next(dice)
        for arm, cost in (("plain", 1.0), ("fast", 0.8 * noise)):
            pair = run_cell(arm, repeat, level.label, cost, **(changes if arm == "fast" else {}))
            cells[arm, "chat", level.label, repeat] = pair
    return _compared(cells, ("fast", "plain"), ("chat", level), Question(0.0, 1, range(1, 5)))


def test_at_equal_streams_all_tokens_count_and_at_capacity_those_within_the_slo() -> None:
    assert compared(Level("streams", 4.0))["cost_ratio"] == pytest.approx(0.8, rel=0.01)
    at_capacity = compared(Level("streams", None))
    assert at_capacity["cost_ratio"] == pytest.approx(0.64, rel=0.02)
    assert (at_capacity["metric"], at_capacity["word"]) == ("slo_cost", "cheaper")


def test_an_arm_whose_capacity_was_refuted_wins_nothing() -> None:
    row = compared(Level("streams", None), floor_missed="misses the floor of 95%")
    assert row["word"] == "too few blocks"
    assert "misses the floor" in row["reason"]


def test_at_a_fixed_rate_nothing_is_equal_of_an_arm_that_fell_behind() -> None:
    behind = compared(Level("rate", 2.0), verdict={"throughput": "saturated", "tails": "saturated"})
    assert behind["word"] == "too few blocks"
    assert "keeps up" not in behind["reason"]
    short = compared(Level("rate", 2.0), verdict={"throughput": "too_short", "tails": "too_short"})
    assert short["word"] == "equal by construction"


def test_at_a_fixed_rate_latency_is_compared() -> None:
    row = compared(Level("rate", 2.0))
    assert (row["word"], row["interval"]) == ("equal by construction", None)
    assert "every arm that keeps up costs the same" in row["reason"]
    latencies = {one["metric"]: one for one in row["latencies"]}
    assert latencies["ttft_p50"]["word"] == "slower"
    assert latencies["ttft_p95"]["ratio"] is None
