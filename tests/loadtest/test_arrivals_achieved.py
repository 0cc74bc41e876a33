"""Intended against achieved arrivals: lateness, spans, and the distance of the two courses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.arrivals import achieved_arrivals, open_schedule, parse_rates
from loadtest.config import OpenLoop


def test_a_generator_that_keeps_up() -> None:
    intended = open_schedule(OpenLoop(rates=parse_rates("50"), cv=1.0), seed=1, until_s=120) + 1000.0
    result = achieved_arrivals(intended, intended + 0.002, begin_s=1000.0, end_s=1120.0)
    assert (result.intended, result.sent, result.share_sent) == (len(intended), len(intended), 1.0)
    for lateness in (
        result.lateness_p50_s,
        result.lateness_p95_s,
        result.lateness_p99_s,
        result.lateness_max_s,
    ):
        assert lateness.value == pytest.approx(0.002)
    assert len(result.bins) == 12
    assert [b.start_s for b in result.bins] == [10.0 * k for k in range(12)]
    assert all(b.width_s == pytest.approx(10) for b in result.bins)
    assert sum(b.intended for b in result.bins) == len(intended)
    assert all(abs(b.intended - b.achieved) <= 2 for b in result.bins)
    assert result.bins[0].intended_per_s == pytest.approx(50, rel=0.2)
    assert result.largest_deviation < 0.001
    assert result.achieved_gap_cv.value == pytest.approx(1.0, rel=0.1)
    assert result.intended_gap_cv.value == pytest.approx(result.achieved_gap_cv.value)


def test_a_generator_that_cannot_send_more_than_ten_a_second() -> None:
    """It falls behind without end: the spans and the distance show it."""
    intended = np.arange(1200) / 20
    sent = np.maximum(intended, np.arange(1200) / 10)
    result = achieved_arrivals(intended, sent)
    assert result.lateness_max_s.value == pytest.approx(1199 / 20)
    assert [b.achieved_per_s for b in result.bins] == pytest.approx([10.0] * 12, rel=0.02)
    assert [b.intended for b in result.bins[:6]] == [200] * 6
    assert result.largest_deviation == pytest.approx(0.5, abs=0.002)


def test_requests_that_were_never_sent_have_no_lateness_but_count() -> None:
    result = achieved_arrivals([0.0, 1.0, 2.0, 3.0], [0.0, None, 2.5, None])
    assert (result.intended, result.sent, result.share_sent) == (4, 2, 0.5)
    assert result.lateness_max_s.value == 0.5
    assert result.lateness_p99_s.value is None
    assert "2 samples" in result.lateness_p99_s.reason
    assert result.largest_deviation == 0.5


def test_a_burst_of_what_was_held_back_is_seen_in_the_gaps() -> None:
    """A client that stalls every second sends in clumps: the right rate, the wrong arrivals."""
    intended = np.arange(2000) / 100
    result = achieved_arrivals(intended, np.ceil(intended))
    assert result.intended_gap_cv.value == pytest.approx(0, abs=1e-6)
    assert result.achieved_gap_cv.value is not None
    assert result.achieved_gap_cv.value > 5


def test_nothing_at_all() -> None:
    result = achieved_arrivals([], [])
    assert (result.intended, result.sent, result.bins, result.share_sent) == (0, 0, (), 0.0)
    assert result.lateness_max_s.reason == "nothing was sent"
    assert result.intended_gap_cv.value is None


def test_the_order_of_the_requests_does_not_matter() -> None:
    intended = np.linspace(0, 50, 200)
    sent = intended + np.random.default_rng(1).exponential(0.3, 200)
    shuffled = np.random.default_rng(2).permutation(200)
    assert achieved_arrivals(intended[shuffled], sent[shuffled]) == achieved_arrivals(intended, sent)


@given(st.lists(st.tuples(st.floats(0, 1000), st.floats(0, 50)), min_size=1, max_size=60), st.floats(0.5, 20))
def test_every_arrival_lies_in_one_span_and_the_distance_is_a_share(
    requests: list[tuple[float, float]], bin_s: float
) -> None:
    intended = [at_s for at_s, _ in requests]
    sent = [at_s + late_s for at_s, late_s in requests]
    result = achieved_arrivals(intended, sent, bin_s=bin_s)
    assert 0 <= result.largest_deviation <= 1
    if max(sent) > min(intended):
        assert sum(b.intended for b in result.bins) == sum(b.achieved for b in result.bins) == len(requests)
        assert sum(b.width_s for b in result.bins) == pytest.approx(max(sent) - min(intended))


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="2 intended arrivals and 1 sends"):
        achieved_arrivals([0.0, 1.0], [0.0])
    with pytest.raises(ValueError, match="bin_s"):
        achieved_arrivals([0.0], [0.0], bin_s=0)
