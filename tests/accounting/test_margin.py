import math

import pytest

from accounting.margin import no_worse_than


def test_the_bound_is_one_sided_students_t() -> None:
    """Logs 0, 0.01, 0.02, 0.03: mean 0.015, standard error 0.006455, t(0.95, 3) 2.3534."""
    found = no_worse_than([math.exp(x) for x in (0.0, 0.01, 0.02, 0.03)], 0.03)
    assert found.upper_bound == pytest.approx(math.exp(0.015 + 2.3534 * 0.0064550), rel=1e-5)
    assert not found.shown
    assert found.reason == "the upper bound 1.031 is not below 1.030"
    assert no_worse_than([math.exp(x) for x in (0.0, 0.01, 0.02, 0.03)], 0.04).shown


def test_absence_of_proof_is_no_proof() -> None:
    """Nobody could tell these apart from 1, nor from 1.2."""
    assert not no_worse_than([0.8, 1.25, 0.9, 1.1], 0.03).shown


def test_too_few_pairs_show_nothing() -> None:
    found = no_worse_than([0.5, 0.5, 0.5], 0.03)
    assert not found.shown
    assert found.upper_bound is None
    assert found.reason == "3 valid pairs, 4 needed"


def test_what_is_no_margin_is_refused() -> None:
    with pytest.raises(ValueError, match="margin"):
        no_worse_than([1.0] * 4, -0.01)
    with pytest.raises(ValueError, match="positive"):
        no_worse_than([0.0] * 4, 0.01)
