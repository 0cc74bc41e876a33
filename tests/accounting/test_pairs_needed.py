import math

import numpy as np
import pytest
from scipy import stats

from accounting.comparison import Word, compare_costs
from accounting.pairs_needed import pairs_needed, power_of_pairs


def test_a_textbook_case() -> None:
    """Cohen's d = 0.5, two-sided 5 %, power 80 %: 34 pairs (Cohen 1988, also G*Power)."""
    sd = math.log1p(0.05) / 0.5
    pilot = [sd / math.sqrt(2), -sd / math.sqrt(2)]
    assert pairs_needed(pilot, 0.05).pairs == 34
    assert power_of_pairs(34, 0.05, sd) == pytest.approx(0.8078, abs=1e-3)


def test_the_careful_number_takes_the_chi_square_limit() -> None:
    pilot = [0.02, -0.01, 0.03, 0.0]
    found = pairs_needed(pilot, 0.03)
    sd = float(np.std(pilot, ddof=1))
    assert found.sd_upper == pytest.approx(sd * math.sqrt(3 / stats.chi2.ppf(0.2, 3)))
    assert found.pairs is not None
    assert found.careful_pairs is not None
    assert found.careful_pairs > found.pairs


def test_the_promised_power_is_kept() -> None:
    """1,000 comparisons of a planted 5 % with the number of pairs that was named: at least 80 %, less noise."""
    sd = 0.05
    pilot = [sd / math.sqrt(2), -sd / math.sqrt(2)]
    pairs = pairs_needed(pilot, 0.05).pairs
    assert pairs is not None
    dice = np.random.default_rng(20261125)
    tries = dice.normal(math.log1p(0.05), sd, (1000, pairs))
    found = sum(compare_costs(np.exp(logs).tolist()).word is Word.DEARER for logs in tries)
    assert found >= stats.binom.ppf(0.005, 1000, 0.8)


def test_no_spread_needs_the_least_and_a_huge_one_more_than_anyone_runs() -> None:
    assert pairs_needed([0.1, 0.1, 0.1], 0.03).pairs == 4
    assert pairs_needed([-9.0, 9.0], 0.01).pairs is None


def test_more_arms_need_more_pairs() -> None:
    pilot = [0.05, -0.05, 0.02]
    one, four = pairs_needed(pilot, 0.03).pairs, pairs_needed(pilot, 0.03, family=4).pairs
    assert one is not None
    assert four is not None
    assert four > one


def test_what_is_no_pilot_is_refused() -> None:
    with pytest.raises(ValueError, match="two pairs"):
        pairs_needed([0.1], 0.03)
    with pytest.raises(ValueError, match="effect"):
        pairs_needed([0.1, 0.2], 0.0)
