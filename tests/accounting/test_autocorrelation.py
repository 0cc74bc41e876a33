import numpy as np
import pytest

from accounting.autocorrelation import MAXIMUM, first_order, inflation_of_mean, inflation_of_rank_trend
from tests.accounting.noise import ar1


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.6])
def test_the_estimate_is_right_on_average_in_short_series(phi: float) -> None:
    """Uncorrected, thirty values of phi 0.6 say 0.5."""
    estimates = [first_order(row, fitted_parameters=1) for row in ar1(1, phi, 30, 400)]
    assert float(np.mean(estimates)) == pytest.approx(phi, abs=0.09)  # no correlation is cut at zero


def test_negative_and_constant_series_count_as_uncorrelated() -> None:
    assert first_order(np.array([1.0, -1.0] * 10), fitted_parameters=1) == 0.0
    assert first_order(np.full(20, 3.0), fitted_parameters=1) == 0.0


def test_a_random_walk_stops_at_the_maximum() -> None:
    assert first_order(np.linspace(0, 1, 60), fitted_parameters=1) == MAXIMUM


def test_too_few_values_are_refused() -> None:
    with pytest.raises(ValueError, match="at least six"):
        first_order(np.arange(5.0), fitted_parameters=1)


def test_inflation_is_one_without_correlation_and_that_of_simulated_means() -> None:
    assert inflation_of_mean(0.0) == 1.0
    assert inflation_of_rank_trend(0.0, 30) == pytest.approx(1.0)
    means = ar1(2, 0.5, 200, 2000).mean(axis=1)
    assert float(means.var()) * 200 == pytest.approx(inflation_of_mean(0.5), rel=0.15)
