import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting import acceptance
from accounting import metric_names as names
from accounting.counters import CounterChange


def change(**increases: float) -> CounterChange:
    return CounterChange(10.0, 0.0, {getattr(names, key): value for key, value in increases.items()})


@given(k=st.integers(1, 16), drafts=st.integers(1, 10**6), data=st.data())
def test_the_three_quantities_stay_in_their_ranges_and_agree(
    k: int, drafts: int, data: st.DataObject
) -> None:
    """AL = 1 + k x rate when every step drafts k; AL lies in [1, k + 1]; rate in [0, 1]."""
    accepted = data.draw(st.integers(0, k * drafts))
    counted = change(DRAFTS=drafts, DRAFT_TOKENS=k * drafts, ACCEPTED_TOKENS=accepted)
    length, rate = acceptance.acceptance_length(counted).value, acceptance.acceptance_rate(counted).value
    assert length is not None
    assert rate is not None
    assert 1.0 <= length <= k + 1
    assert 0.0 <= rate <= 1.0
    assert length == pytest.approx(1 + k * rate)


def test_without_speculation_the_reason_is_said() -> None:
    plain = change(GENERATION_TOKENS=100, FIRST_TOKENS=4, DECODE_STEPS=96)
    assert acceptance.acceptance_length(plain).reason == acceptance.NO_SPECULATION
    assert acceptance.tokens_per_step(plain).value == 1.0
    assert acceptance.acceptance_by_position(plain) == []


def test_a_drafter_that_stayed_silent_has_no_acceptance_length() -> None:
    silent = change(DRAFTS=0, DRAFT_TOKENS=0, ACCEPTED_TOKENS=0)
    assert acceptance.acceptance_length(silent).reason == acceptance.NO_DRAFTS
    assert acceptance.acceptance_rate(silent).reason == acceptance.NO_DRAFTS


def test_undrafted_steps_count_in_tokens_per_step_but_not_in_acceptance_length() -> None:
    """10 steps, 2 of them drafted with 4 accepted each: AL 5.0, but 18 tokens in 10 steps."""
    counted = change(
        DRAFTS=2, DRAFT_TOKENS=8, ACCEPTED_TOKENS=8, GENERATION_TOKENS=19, FIRST_TOKENS=1, DECODE_STEPS=10
    )
    assert acceptance.acceptance_length(counted).value == 5.0
    assert acceptance.tokens_per_step(counted).value == pytest.approx(1.8)


def test_positions_are_ordered_by_number_not_by_text() -> None:
    increases = {names.DRAFTS: 10.0} | {
        names.labelled(names.ACCEPTED_TOKENS_PER_POSITION, str(i)): float(10 - i) for i in range(11)
    }
    rates = acceptance.acceptance_by_position(CounterChange(1.0, 0.0, increases))
    assert rates == pytest.approx([(10 - i) / 10 for i in range(11)])
