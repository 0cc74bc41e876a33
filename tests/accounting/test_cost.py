from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.cost import per_million, slo_cost, usd_per_1k_tokens
from accounting.missing import Measured, measured, not_measured
from accounting.prices import Price
from accounting.record_examples import failed, record
from accounting.slo import Slo, attainment

amounts = st.floats(0.01, 1000)
AS_OF = date(2026, 11, 22)


def price(usd_per_hour: float) -> Price:
    return Price(usd_per_hour, "declared", AS_OF)


def test_a_known_case_by_hand() -> None:
    """3.60 USD per hour is 0.001 USD per second; 30 s for 1500 tokens is 0.02 USD per 1000."""
    assert usd_per_1k_tokens(price(3.6), 30.0, 1500).value == pytest.approx(0.02)
    assert per_million(0.02) == pytest.approx(20.0)


@given(amounts, st.floats(1, 1e4), st.integers(1, 10**9), st.floats(1.1, 50))
def test_cost_scales_with_price_and_time_and_falls_with_tokens(
    usd: float, window_s: float, tokens: int, factor: float
) -> None:
    base = usd_per_1k_tokens(price(usd), window_s, tokens).value
    assert base is not None
    assert usd_per_1k_tokens(price(usd * factor), window_s, tokens).value == pytest.approx(base * factor)
    assert usd_per_1k_tokens(price(usd), window_s * factor, tokens).value == pytest.approx(base * factor)
    assert usd_per_1k_tokens(price(usd), window_s, tokens * factor).value == pytest.approx(base / factor)


@given(amounts, st.floats(0.001, 1))
def test_slo_cost_is_never_below_the_raw_cost(usd: float, share: float) -> None:
    raw = usd_per_1k_tokens(price(usd), 30.0, 1000)
    within = slo_cost(raw, measured(share))
    assert within.value is not None
    assert raw.value is not None
    assert within.value >= raw.value
    assert within.value * share == pytest.approx(raw.value)


def test_no_tokens_no_cost_but_a_reason() -> None:
    assert usd_per_1k_tokens(price(1.0), 30.0, 0).reason == "no tokens were delivered in the window"
    assert slo_cost(measured(1.0), measured(0.0)).reason == "no request met the SLO"
    assert slo_cost(not_measured("withheld"), measured(1.0)).reason == "withheld"


@pytest.mark.parametrize("usd", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_amount_is_no_price(usd: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        price(usd)


def test_a_price_from_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match="source"):
        Price(1.0, "  ", AS_OF)


def test_a_measured_value_is_a_number_or_a_reason_never_both_or_neither() -> None:
    for value, reason in ((None, ""), (1.0, "why")):
        with pytest.raises(ValueError, match="reason"):
            Measured(value, reason)


def test_attainment_needs_every_limit_and_counts_failures_in_the_denominator() -> None:
    slo = Slo(ttft_s=1.0, tpot_s=0.1)
    fast = record([(0.5, 1), (0.9, 11)])
    slow_start = record([(1.5, 1), (1.6, 11)])
    slow_stream = record([(0.5, 1), (2.5, 11)])
    attained = attainment([fast, slow_start, slow_stream, failed()], slo)
    assert attained.requests.value == 0.25
    assert attained.tokens.value == pytest.approx(11 / 33)


def test_without_requests_attainment_is_not_measured() -> None:
    assert attainment([], Slo()).requests.reason


def test_a_censored_first_token_is_judged_by_its_upper_bound() -> None:
    late = record([(1.2, 1), (1.3, 2)], first_text_censored=True)
    assert not Slo(ttft_s=1.0, tpot_s=None).met([late])[0]
