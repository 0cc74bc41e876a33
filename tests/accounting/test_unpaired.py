import math

import pytest
from scipy import stats

from accounting.comparison import Word
from accounting.unpaired import compare_unpaired

ONE = [1.00, 1.10, 0.95, 1.05, 1.02]
OTHER = [1.30, 1.42, 1.35, 1.28]


def test_it_is_welchs_test_over_logarithms() -> None:
    found = compare_unpaired(ONE, OTHER)
    expected = stats.ttest_ind([math.log(v) for v in ONE], [math.log(v) for v in OTHER], equal_var=False)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.degrees == pytest.approx(expected.df)
    interval = expected.confidence_interval(0.95)
    assert found.interval == pytest.approx((math.exp(interval.low), math.exp(interval.high)))
    assert found.word is Word.CHEAPER


def test_a_family_widens_the_interval() -> None:
    alone, shared = compare_unpaired(ONE, OTHER), compare_unpaired(ONE, OTHER, family=3)
    assert alone.interval is not None
    assert shared.interval is not None
    assert shared.interval[0] < alone.interval[0] < alone.interval[1] < shared.interval[1]


def test_few_blocks_have_a_ratio_and_no_interval() -> None:
    found = compare_unpaired(ONE[:3], OTHER)
    assert found.ratio is not None
    assert found.interval is None
    assert found.word is Word.TOO_FEW_BLOCKS
    assert found.reason == "3 and 4 blocks; 4 on each side are needed"
    assert compare_unpaired([], OTHER).ratio is None


def test_blocks_without_any_spread_still_compare() -> None:
    assert compare_unpaired([1.0] * 4, [2.0] * 4).word is Word.CHEAPER
    assert compare_unpaired([1.0] * 4, [1.0] * 4).word is Word.CANNOT_TELL


def test_what_is_no_value_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        compare_unpaired([0.0], OTHER)
