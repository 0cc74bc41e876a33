"""Another machine's clock: the quickest question decides, half its round trip is the uncertainty, drift adds."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.clock_offset import ClockOffset, Ping, combined, offset_from


def ping(offset_s: float, *, there_s: float, back_s: float, at_s: float = 100.0) -> Ping:
    """What is seen of a question that takes so long either way, to a clock that is `offset_s` ahead."""
    return Ping(at_s, at_s + there_s + back_s, at_s + there_s + offset_s)


def test_equal_ways_give_the_offset_itself() -> None:
    offset_s, uncertainty_s = offset_from([ping(5.0, there_s=0.001, back_s=0.001)])
    assert offset_s == pytest.approx(5.0)
    assert uncertainty_s == pytest.approx(0.001)


def test_the_quickest_question_decides() -> None:
    slow = ping(5.0, there_s=0.5, back_s=0.01)
    quick = ping(5.0, there_s=0.002, back_s=0.001)
    offset_s, uncertainty_s = offset_from([slow, quick, slow])
    assert offset_s == pytest.approx(5.0005)
    assert uncertainty_s == pytest.approx(0.0015)


@given(
    offset_s=st.floats(-1e5, 1e5),
    ways=st.lists(st.tuples(st.floats(1e-5, 0.5), st.floats(1e-5, 0.5)), min_size=1, max_size=16),
)
def test_the_truth_lies_within_the_stated_uncertainty(
    offset_s: float, ways: list[tuple[float, float]]
) -> None:
    found_s, uncertainty_s = offset_from([ping(offset_s, there_s=a, back_s=b) for a, b in ways])
    assert abs(found_s - offset_s) <= uncertainty_s + 1e-9 * max(1.0, abs(offset_s))


def test_a_clock_that_drifts_is_corrected_by_the_middle_and_says_so() -> None:
    before = [ping(2.0, there_s=0.001, back_s=0.001)]
    after = [ping(2.010, there_s=0.003, back_s=0.003, at_s=700.0)]
    whole = combined(before, after, same_machine=False)
    assert whole.offset_s == pytest.approx(2.005)
    assert whole.drift_s == pytest.approx(0.010)
    assert whole.uncertainty_s == pytest.approx(0.003 + 0.005)
    assert not whole.same_machine


def test_one_machine_has_one_clock_however_slow_its_answers() -> None:
    dice = random.Random(1)
    pings = [ping(0.0, there_s=dice.random(), back_s=0.001) for _ in range(5)]
    assert combined(pings, pings, same_machine=True) == ClockOffset(0.0, 0.0, 0.0, True)


def test_without_questions_after_the_load_the_ones_before_stand() -> None:
    alone = combined([ping(1.0, there_s=0.002, back_s=0.002)], [], same_machine=False)
    assert alone.offset_s == pytest.approx(1.0)
    assert alone.drift_s == 0.0
