import numpy as np
import pytest

from accounting.ratio_interval import clustered_ratio_interval


def test_it_holds_its_level_where_steps_of_an_answer_resemble_each_other() -> None:
    """Answers differ in their rate; 500 samples of 40 answers: the true ratio is inside in 92..98 %."""
    draw = np.random.default_rng(3)
    inside = 0
    for _ in range(500):
        rates = draw.beta(4, 2, size=40)
        steps = draw.integers(20, 60, size=40)
        low, high = clustered_ratio_interval(draw.binomial(steps, rates), steps) or (2.0, -1.0)
        inside += low <= 4 / 6 <= high
    assert 460 <= inside <= 490


def test_equal_clusters_give_a_mean_and_its_t_interval() -> None:
    low, high = clustered_ratio_interval([1.0, 3.0], [1.0, 1.0]) or (0.0, 0.0)
    assert (low, high) == pytest.approx((2 - 12.706, 2 + 12.706), abs=1e-3)


def test_one_cluster_shows_no_spread_and_lengths_must_agree() -> None:
    assert clustered_ratio_interval([1.0, 0.0], [2.0, 0.0]) is None
    with pytest.raises(ValueError, match="for each cluster"):
        clustered_ratio_interval([1.0], [1.0, 2.0])
