import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.comparison import Word, compare_costs

ratios = st.floats(0.1, 10)


@given(st.lists(ratios, min_size=1, max_size=3))
def test_fewer_than_four_pairs_prove_nothing(pairs: list[float]) -> None:
    result = compare_costs(pairs)
    assert result.word is Word.TOO_FEW_BLOCKS
    assert result.interval is None
    assert min(pairs) * 0.999 <= (result.ratio or 0) <= max(pairs) * 1.001


@given(st.lists(ratios, min_size=4, max_size=12))
def test_swapping_arm_and_baseline_inverts_everything(pairs: list[float]) -> None:
    one, other = compare_costs(pairs), compare_costs([1 / r for r in pairs])
    opposite = {Word.CHEAPER: Word.DEARER, Word.DEARER: Word.CHEAPER, Word.CANNOT_TELL: Word.CANNOT_TELL}
    assert one.ratio == pytest.approx(1 / (other.ratio or 1))
    assert other.word is opposite[one.word]


def test_the_interval_is_students_t_over_log_ratios() -> None:
    """Logs -0.1, -0.2, -0.3, -0.4: mean -0.25, sem 0.0645, t(0.975, 3) 3.182."""
    result = compare_costs([2.718281828459045**-x for x in (0.1, 0.2, 0.3, 0.4)])
    assert result.interval is not None
    assert result.interval[0] == pytest.approx(0.6342, abs=2e-4)
    assert result.interval[1] == pytest.approx(0.9564, abs=2e-4)
    assert result.word is Word.CHEAPER


def test_pairs_that_disagree_cannot_tell() -> None:
    assert compare_costs([0.8, 1.2, 0.9, 1.1]).word is Word.CANNOT_TELL


def test_no_pair_has_no_ratio() -> None:
    assert compare_costs([]).ratio is None


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_ratio_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        compare_costs([1.0, bad])
