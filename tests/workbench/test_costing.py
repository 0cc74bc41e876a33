from datetime import date
from typing import Any

import pytest

from accounting.prices import Price
from workbench.costing import price_cell

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
