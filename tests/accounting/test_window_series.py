from dataclasses import replace

import numpy as np
import pytest

from accounting.record_examples import failed, record
from accounting.records import Chunks
from accounting.window_series import bin_edges, tokens_brought, window_series


@pytest.mark.parametrize(("window_s", "bins"), [(0.4, 1), (25.1, 25), (60.0, 60), (3600.0, 60)])
def test_bins_last_a_second_and_are_sixty_at_most(window_s: float, bins: int) -> None:
    edges = bin_edges(7.0, 7.0 + window_s)
    assert len(edges) == bins + 1
    assert (edges[0], edges[-1]) == (7.0, 7.0 + window_s)


def test_tokens_and_time_between_events_fall_into_the_bin_of_the_event() -> None:
    answer = record([(0.5, 2), (0.9, 4), (1.4, 5), (2.6, 9)])  # sent at 100
    series = window_series([answer], np.array([100.0, 101.0, 102.0, 103.0]))
    assert series.tokens_per_s.tolist() == [4, 1, 4]
    assert series.tpot_s == pytest.approx([0.4 / 2, 0.5 / 1, 1.2 / 4])
    assert series.ttft_s[0] == pytest.approx(0.5)
    assert np.isnan(series.ttft_s[1:]).all()
    assert series.answered.tolist() == [0, 0, 1]
    assert series.sent.tolist() == [1, 0, 0]
    assert series.in_flight.tolist() == [1, 1, 1]


def test_an_answer_that_began_before_the_window_brings_its_gap_but_not_its_past() -> None:
    answer = record([(0.5, 2), (0.9, 4), (1.4, 5)])
    series = window_series([answer], np.array([101.0, 102.0]))
    assert series.tokens_per_s.tolist() == [1]
    assert series.tpot_s == pytest.approx([0.5])
    assert series.sent.tolist() == [0]


def test_the_sum_over_bins_is_the_number_of_tokens() -> None:
    dice = np.random.default_rng(1)
    answers = [
        record(
            list(zip(np.cumsum(dice.exponential(0.05, 80)), range(1, 81), strict=True)), intended_send_s=100.0
        )
        for _ in range(20)
    ]
    edges = bin_edges(100.0, 120.0)
    assert float((window_series(answers, edges).tokens_per_s * np.diff(edges)).sum()) == pytest.approx(
        20 * 80
    )


def test_without_a_running_count_tokens_are_spread_over_the_events() -> None:
    counted = record([(0.5, 1), (1.0, 4)], completion_tokens=4)
    silent = replace(counted, chunks=Chunks.of(replace(c, tokens=None) for c in counted.chunks))
    assert tokens_brought([counted]).tolist() == [1, 3]
    assert tokens_brought([silent]).tolist() == [2, 2]


def test_failures_are_counted_apart_and_nothing_gives_empty_bins() -> None:
    series = window_series([failed(end_s=100.5)], np.array([100.0, 101.0]))
    assert (series.failed.tolist(), series.answered.tolist()) == ([1], [0])
    assert np.isnan(series.tpot_s).all()
    assert window_series([], np.array([0.0, 1.0])).tokens_per_s.tolist() == [0]
