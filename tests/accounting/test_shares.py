import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.shares import paired_difference, wilson_interval


@pytest.mark.parametrize(
    ("right", "items", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_intervals_of_newcombes_table(
    right: int, items: int, low: float, high: float
) -> None:
    """R. G. Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3."""
    assert wilson_interval(right, items) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500), st.data())
def test_wilson_holds_the_share_and_is_symmetric(items: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, items))
    low, high = wilson_interval(right, items)
    assert 0 <= low <= right / items <= high <= 1
    assert wilson_interval(items - right, items) == pytest.approx((1 - high, 1 - low))


def test_the_wilson_interval_holds_the_truth_as_often_as_it_says() -> None:
    dice, held, rounds = random.Random(3), 0, 2000
    for _ in range(rounds):
        right = sum(dice.random() < 0.12 for _ in range(60))
        low, high = wilson_interval(right, 60)
        held += low <= 0.12 <= high
    assert 0.93 < held / rounds < 0.98


@pytest.mark.parametrize(("right", "items"), [(0, 0), (3, 2), (-1, 2)])
def test_a_share_of_nothing_is_refused(right: int, items: int) -> None:
    with pytest.raises(ValueError, match="share"):
        wilson_interval(right, items)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [((36, 12, 2, 0), 0.0569, 0.3404), ((36, 14, 0, 0), 0.1528, 0.4167)],
)
def test_the_paired_interval_is_newcombes(counts: tuple[int, int, int, int], low: float, high: float) -> None:
    """R. G. Newcombe, Statistics in Medicine 17 (1998) 2635, table II, method 10 (his difference is first - second)."""
    found = paired_difference(*counts)
    assert (-found.interval[1], -found.interval[0]) == pytest.approx((low, high), abs=2e-4)


def test_mcnemar_is_the_exact_binomial_tail() -> None:
    found = paired_difference(10, 8, 1, 20)
    assert found.p_value == pytest.approx(2 * (1 + 9) / 2**9)
    assert found.difference == pytest.approx(-7 / 39)


def test_two_that_agree_on_every_item_do_not_differ() -> None:
    found = paired_difference(5, 0, 0, 15)
    assert (found.difference, found.p_value) == (0.0, 1.0)
    assert found.interval[0] < 0 < found.interval[1]


@given(st.lists(st.integers(0, 40), min_size=4, max_size=4).filter(any))
def test_the_paired_interval_holds_the_difference_and_turns_with_the_order(counts: list[int]) -> None:
    both, first, second, neither = counts
    one, other = paired_difference(*counts), paired_difference(both, second, first, neither)
    assert one.interval[0] <= one.difference <= one.interval[1]
    assert math.isclose(one.difference, -other.difference)
    assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]))
    assert 0 < one.p_value <= 1
