import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.show import DASH, usd


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0000873, "$0.0000873"),
        (0.00144, "$0.00144"),
        (1.5, "$1.50"),
        (123.4, "$123"),
        (0.0, "$0.00"),
        (None, DASH),
    ],
)
def test_dollars_have_three_digits_and_no_power_of_ten(value: float | None, shown: str) -> None:
    assert usd(value) == shown


@given(st.floats(1e-9, 1e6))
def test_what_is_shown_is_within_half_a_percent(value: float) -> None:
    shown = usd(value)
    assert "e" not in shown
    assert float(shown[1:]) == pytest.approx(value, rel=0.0051)
