"""What an hour costs, rented or bought, and from when on a box of one's own is cheaper."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.break_even import blended_usd_per_1k_output, break_even
from accounting.cost import usd_per_1k_tokens
from accounting.electricity import electricity_usd, usd_per_hour_of_watts
from accounting.holding import HOURS_PER_YEAR, Holding, bought, rented, usd_per_1k, with_electricity
from accounting.prices import Price
from accounting.routing import cascaded_usd_per_1k, least_share_for_a_cascade, routed_usd_per_1k
from accounting.sensitivity import sensitivity

AMOUNTS = st.floats(1e-3, 1e5)
DUTIES = st.floats(0.01, 1.0)


def box_of_a_dollar_an_hour() -> Holding:
    """87,660 $ over ten years is 1 $ an hour; 1 kW idle, 3 kW busy, 10 cents, PUE 1.2."""
    return with_electricity(bought(87_660, 10), busy_watts=3000, idle_watts=1000, usd_per_kwh=0.10, pue=1.2)


def test_a_box_bought_for_a_dollar_an_hour() -> None:
    box = box_of_a_dollar_an_hour()
    assert HOURS_PER_YEAR * 10 == 87_660
    assert dict(box.parts) == pytest.approx(
        {"purchase": 1.0, "electricity, idle": 0.12, "electricity, more when busy": 0.24}
    )
    assert box.usd_per_calendar_hour(0.5) == pytest.approx(1 + 0.12 + 0.12)
    assert box.usd_per_hour_of_work(0.5) == pytest.approx(2.48)


def test_rent_holds_electricity_already() -> None:
    assert rented(3.6).parts == (("rent", 3.6),)
    assert usd_per_1k(rented(3.6), 100.0) == pytest.approx(0.01)
    assert usd_per_1k(rented(3.6), 100.0, duty_cycle=0.25) == pytest.approx(0.04)
    assert usd_per_1k(rented(3.6), 100.0, start_up_share=0.2) == pytest.approx(0.0125)


@given(AMOUNTS, AMOUNTS, DUTIES, st.floats(1.0, 50.0))
def test_cost_scales_with_the_price(usd: float, rate: float, duty: float, factor: float) -> None:
    one, more = (usd_per_1k(rented(usd * by), rate, duty_cycle=duty) for by in (1.0, factor))
    assert more == pytest.approx(one * factor)


@given(AMOUNTS, st.floats(0, 1e4), st.floats(0, 1e4), st.floats(0, 2), st.floats(1, 3), DUTIES)
def test_the_parts_of_a_busy_hour_are_the_whole(
    usd: float, idle: float, more: float, tariff: float, pue: float, duty: float
) -> None:
    box = with_electricity(
        bought(usd, 5), busy_watts=idle + more, idle_watts=idle, usd_per_kwh=tariff, pue=pue
    )
    assert sum(amount for _, amount in box.parts) == pytest.approx(box.usd_per_calendar_hour(1.0))
    assert box.usd_per_hour_of_work(duty) >= box.usd_per_hour_of_work(1.0) * (1 - 1e-12)


@given(st.floats(0, 1e12), st.floats(0, 10), st.floats(1, 3))
def test_joules_watts_and_kilowatt_hours_are_one_thing(joules: float, tariff: float, pue: float) -> None:
    assert electricity_usd(joules, tariff, pue) == pytest.approx(
        usd_per_hour_of_watts(joules / 3600, tariff, pue)
    )
    assert electricity_usd(3.6e6, tariff) == pytest.approx(tariff)


@given(AMOUNTS, AMOUNTS, st.floats(1e-6, 10))
def test_at_the_break_even_both_cost_the_same(usd: float, rate: float, elsewhere: float) -> None:
    found = break_even(rented(usd), rate, elsewhere)
    if found.duty_cycle is None:
        assert found.full_usd_per_1k >= elsewhere * (1 - 1e-9)
    else:
        assert usd_per_1k(rented(usd), rate, duty_cycle=found.duty_cycle) == pytest.approx(elsewhere)


def test_a_bought_box_breaks_even_above_its_electricity() -> None:
    box = box_of_a_dollar_an_hour()
    found = break_even(box, 100.0, 0.01)
    assert found.duty_cycle == pytest.approx(1.12 / (3.6 - 0.24))
    assert usd_per_1k(box, 100.0, duty_cycle=found.duty_cycle or 0) == pytest.approx(0.01)
    assert break_even(box, 100.0, 0.0005).duty_cycle is None, "its electricity alone costs more"


def test_an_api_asks_for_the_input_that_comes_with_the_output() -> None:
    assert blended_usd_per_1k_output(0.5, 1.5, 10.0) == pytest.approx(0.0065)
    assert blended_usd_per_1k_output(
        0.5, 1.5, 10.0, usd_per_1m_cached=0.1, cached_share=0.5
    ) == pytest.approx(0.0045)


@given(st.floats(0, 1), AMOUNTS, AMOUNTS)
def test_a_routed_token_costs_between_the_two(share: float, small: float, large: float) -> None:
    cost = routed_usd_per_1k(share, small, large)
    assert min(small, large) * (1 - 1e-9) <= cost <= max(small, large) * (1 + 1e-9)
    assert cascaded_usd_per_1k(share, small, large) >= cost * (1 - 1e-9)
    least = least_share_for_a_cascade(small, large)
    if least is not None:
        assert cascaded_usd_per_1k(least, small, large) == pytest.approx(large)
    else:
        assert small > large


def test_the_strongest_input_comes_first_and_a_range_is_respected() -> None:
    found = sensitivity(
        lambda given: usd_per_1k(rented(given["usd"] ** 2), given["rate"], duty_cycle=given["duty"]),
        {"rate": 10.0, "usd": 2.0, "duty": 0.9},
    )
    assert [one.name for one in found] == ["usd", "rate", "duty"]
    assert (found[0].lower, found[0].higher) == (pytest.approx(0.64), pytest.approx(1.44))
    assert found[2].higher is None, "a duty cycle of 1.08 is none"


def test_rent_with_electricity_on_top_is_fed_as_a_bought_box_is() -> None:
    box = with_electricity(rented(1.0), busy_watts=3000, idle_watts=1000, usd_per_kwh=0.10, pue=1.2)
    assert dict(box.parts)["rent"] == 1.0
    assert box.usd_per_hour_of_work(0.5) == pytest.approx(2.48)


def test_starts_take_their_hours_from_the_busy_ones() -> None:
    """2.4 busy hours of a day, 1.2 of them starts: half of what the box could give."""
    once = usd_per_1k(rented(3.6), 100.0, duty_cycle=0.1)
    assert usd_per_1k(rented(3.6), 100.0, duty_cycle=0.1, start_up_share=0.05) == pytest.approx(2 * once)
    with pytest.raises(ValueError, match="starts take 4 hours of a day"):
        usd_per_1k(rented(3.6), 100.0, duty_cycle=0.1, start_up_share=1 / 6)


@given(AMOUNTS, st.floats(0, 1e4), AMOUNTS, st.floats(1e-6, 10), st.floats(0, 0.9))
def test_at_the_break_even_with_starts_both_cost_the_same(
    usd: float, watts: float, rate: float, elsewhere: float, starts: float
) -> None:
    box = with_electricity(rented(usd), busy_watts=watts, idle_watts=0.0, usd_per_kwh=0.1)
    found = break_even(box, rate, elsewhere, start_up_share=starts)
    assert found.full_usd_per_1k == usd_per_1k(box, rate, start_up_share=starts)
    if found.duty_cycle is None:
        assert found.full_usd_per_1k >= elsewhere * (1 - 1e-6)
    elif found.duty_cycle > 1.001 * starts:  # else the difference of the two is lost in rounding
        cost = usd_per_1k(box, rate, duty_cycle=found.duty_cycle, start_up_share=starts)
        assert cost == pytest.approx(elsewhere, rel=1e-6)


def test_measured_and_repriced_cost_are_one_division() -> None:
    price = Price(3.6, "declared", date(2026, 11, 22))
    assert usd_per_1k(rented(3.6), 50.0) == usd_per_1k_tokens(price, 1.0, 50.0).value


def test_what_is_no_price_or_share_is_refused() -> None:
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="positive number"):
            rented(wrong)
    for duty in (0.0, -0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="duty cycle"):
            usd_per_1k(rented(1.0), 1.0, duty_cycle=duty)
    with pytest.raises(ValueError, match="at least as much busy"):
        with_electricity(bought(1, 1), busy_watts=1, idle_watts=2, usd_per_kwh=0.1)
    with pytest.raises(ValueError, match="at least 1"):
        electricity_usd(1.0, 0.1, 0.9)
    with pytest.raises(ValueError, match="between 0 and 1"):
        routed_usd_per_1k(1.5, 1.0, 1.0)
