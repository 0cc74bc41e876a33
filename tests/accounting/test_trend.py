import numpy as np
import pytest

from accounting.trend import MINIMUM_VALUES, trend
from tests.accounting.noise import Series, ar1, around


def alarms(series: Series, level: float = 0.01) -> float:
    found = [trend(row) for row in series]
    return float(np.mean([t is not None and t.significant(level) for t in found]))


@pytest.mark.parametrize("n", [25, 60])
@pytest.mark.parametrize("phi", [0.0, 0.3, 0.6])
def test_stationary_series_seldom_look_like_a_trend(phi: float, n: int) -> None:
    assert alarms(around(100.0, ar1(3, phi, n, 400), 0.05)) <= 0.05


def test_without_the_correction_they_would() -> None:
    """The same series by plain Mann-Kendall: that is what the correction is for."""
    n = 40
    earlier, later = np.triu_indices(n, 1)
    plain = [
        np.sign(row[later] - row[earlier]).sum() / np.sqrt(n * (n - 1) * (2 * n + 5) / 18)
        for row in ar1(3, 0.6, n, 400)
    ]
    assert float(np.mean(np.abs(plain) > 2.576)) > 0.15


@pytest.mark.parametrize(
    ("phi", "n", "drift", "power"), [(0.0, 25, 0.10, 0.8), (0.3, 60, 0.10, 0.9), (0.6, 60, 0.15, 0.8)]
)
def test_a_real_drift_is_found(phi: float, n: int, drift: float, power: float) -> None:
    shape = 100 * (1 + drift * np.linspace(0, 1, n))
    assert alarms(around(shape, ar1(4, phi, n, 200), 0.03)) >= power


def test_growth_by_the_square_root_of_time_is_found_too() -> None:
    shape = 100 * np.sqrt(np.linspace(0.05, 1, 60))
    assert alarms(around(shape, ar1(5, 0.3, 60, 100), 0.05)) >= 0.9


def test_a_smooth_curve_is_a_trend_though_it_is_no_line() -> None:
    """What is left of it around a line is as autocorrelated as can be: the correction alone would let it pass."""
    found = trend(100 / (1 + np.linspace(0.05, 0.35, 30)))
    assert found is not None
    assert found.p_value > 0.01
    assert found.tau == -1.0
    assert found.significant(0.01)


def test_change_is_the_drift_from_first_to_last_whatever_one_bad_bin_says() -> None:
    values = np.linspace(100.0, 110.0, 30)
    values[7] = 5.0
    found = trend(values)
    assert found is not None
    assert found.change == pytest.approx(10 / 105, rel=0.02)
    assert found.z > 4


def test_short_or_levelless_series_are_not_judged() -> None:
    assert trend(np.arange(MINIMUM_VALUES - 1.0)) is None
    assert trend(np.zeros(30)) is None


def test_a_constant_series_has_no_trend() -> None:
    found = trend(np.full(30, 7.0))
    assert found is not None
    assert (found.change, found.z, found.p_value) == (0.0, 0.0, 1.0)
