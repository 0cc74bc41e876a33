import numpy as np
import pytest

from accounting.level_shift import level_shift
from tests.accounting.noise import ar1, around


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.6])
def test_stationary_series_seldom_step(phi: float) -> None:
    found = [level_shift(row) for row in around(100.0, ar1(6, phi, 40, 400), 0.05)]
    assert float(np.mean([s is not None and s.p_value < 0.01 for s in found])) <= 0.03


def test_a_step_is_found_where_it_is() -> None:
    shape = np.where(np.arange(40) < 24, 100.0, 90.0)
    found = [s for row in around(shape, ar1(7, 0.0, 40, 100), 0.03) if (s := level_shift(row))]
    assert float(np.mean([s.p_value < 0.01 for s in found])) >= 0.9
    assert float(np.median([s.at for s in found])) == 24
    assert float(np.median([s.change for s in found])) == pytest.approx(-0.10, abs=0.02)


def test_short_series_are_not_judged() -> None:
    assert level_shift(np.arange(5.0)) is None
