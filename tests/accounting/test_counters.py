import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting import metric_names as names
from accounting.counters import CounterSample, difference

counts = st.dictionaries(st.sampled_from(names.ALL_COUNTERS), st.integers(0, 10**9), min_size=1)


def sample(at_s: float, counters: dict[str, float], start: float | None = 100.0) -> CounterSample:
    return CounterSample(at_s, 0.001, counters, {}, start)


@given(counts, counts)
def test_the_difference_of_growing_counters_is_what_was_added(
    before: dict[str, int], added: dict[str, int]
) -> None:
    after = {key: before.get(key, 0) + added.get(key, 0) for key in {*before, *added}}
    change = difference(sample(1.0, before), sample(3.0, after))
    assert change.duration_s == 2.0
    assert change.uncertainty_s == pytest.approx(0.002)
    for key in after:
        assert change.increase(key) == added.get(key, 0)


@given(counts.filter(lambda c: any(c.values())), st.data())
def test_a_counter_that_went_backwards_is_a_reset_and_has_no_increase(
    before: dict[str, int], data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from([k for k, v in before.items() if v > 0]))
    after = {**before, key: data.draw(st.integers(0, before[key] - 1))}
    change = difference(sample(1.0, before), sample(2.0, after))
    assert key in change.reset
    with pytest.raises(ValueError, match="reset"):
        change.increase(names.GENERATION_TOKENS)


def test_another_process_start_time_is_a_reset_even_if_every_counter_grew() -> None:
    change = difference(
        sample(1.0, {names.GENERATION_TOKENS: 1}, 100.0), sample(2.0, {names.GENERATION_TOKENS: 900}, 160.0)
    )
    assert change.reset == (names.PROCESS_START_TIME,)


def test_a_counter_that_vanished_is_a_reset() -> None:
    assert difference(sample(1.0, {names.DRAFTS: 4}), sample(2.0, {})).reset == (names.DRAFTS,)


def test_kept_labels_are_read_back_by_their_value() -> None:
    key = names.labelled(names.ACCEPTED_TOKENS_PER_POSITION, "3")
    change = difference(sample(1.0, {key: 2}), sample(2.0, {key: 7}))
    assert change.by_label(names.ACCEPTED_TOKENS_PER_POSITION) == {"3": 5}


def test_samples_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match="later"):
        difference(sample(2.0, {}), sample(2.0, {}))


def test_missing_required_counters_are_named() -> None:
    assert sample(0.0, {names.PROMPT_TOKENS: 1}).missing_required() == (
        names.GENERATION_TOKENS,
        names.FIRST_TOKENS,
        names.DECODE_STEPS,
    )
