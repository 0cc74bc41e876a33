"""Numbers keep the digits that were measured and never turn into exponents."""

import math

import pytest

from dashboards.number_format import decimals_for, duration, loads, money, number, ratio, share


@pytest.mark.parametrize(
    ("usd", "written"),
    [(0.000412, "$0.000412"), (0.0000412, "$0.0000412"), (1.2, "$1.20"), (0, "$0"), (1234, "$1,234")],
)
def test_money_has_three_digits_and_no_exponent(usd: float, written: str) -> None:
    """Small prices are written out."""
    assert money(usd) == written


def test_a_column_takes_its_decimals_from_the_smallest_value() -> None:
    """Decimal points line up and the smallest value stays readable."""
    assert decimals_for([0.00827, 0.000412]) == 6
    assert decimals_for([None, math.nan, 0.0]) == 0


def test_a_column_stops_adding_digits_to_its_largest_value() -> None:
    """Thousands of tokens per second do not get hundredths."""
    assert decimals_for([1234.5, 1.25]) == 1
    assert number(1234.56, 1) == "1,234.6"


@pytest.mark.parametrize(
    ("value", "written"), [(1, "100%"), (0.9999, ">99.9%"), (0.954, "95.4%"), (0, "0.0%")]
)
def test_only_all_is_written_as_100_percent(value: float, written: str) -> None:
    """One missed request in a thousand is not none."""
    assert share(value) == written


def test_ratios_durations_and_loads() -> None:
    """The remaining kinds of number."""
    assert (ratio(0.714), ratio(12.34)) == ("0.71×", "12.3×")
    assert (duration(0.0412), duration(1.5)) == ("41.2 ms", "1.50 s")
    assert (loads(1, "streams"), loads(8.0, "streams")) == ("1 stream", "8 streams")
    assert (loads(0.5, "rate"), loads(1, "rate")) == ("0.5 requests/s", "1 request/s")
    assert (loads(1000, "streams"), loads(3.36666, "rate")) == ("1,000 streams", "3.367 requests/s")
