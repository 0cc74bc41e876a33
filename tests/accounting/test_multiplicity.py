import pytest

from accounting.multiplicity import holm


def test_holm_by_hand() -> None:
    """0.01 x 3, 0.03 x 2, 0.04 x 1 raised to the one before."""
    assert holm([0.03, 0.01, 0.04]) == pytest.approx([0.06, 0.03, 0.06])


def test_comparisons_that_could_not_be_made_still_count() -> None:
    assert holm([0.01], family=4) == pytest.approx([0.04])
    assert holm([]) == []


def test_no_p_value_passes_one() -> None:
    assert holm([0.7, 0.9]) == [1.0, 1.0]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="family"):
        holm([0.1, 0.2], family=1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([1.1])
