import numpy as np
import pytest

from accounting.steady_window import choose_window, ramp, steadiness, truncation
from tests.accounting.noise import Series, ar1, around

T = np.arange(60)
SHAPES: dict[str, tuple[Series, float]] = {
    "a ramp in the first seconds": (1 - 0.5 * np.exp(-np.arange(25) / 2.5), 0.95),
    "the end is a drain": (np.where(np.arange(40) >= 36, 0.4, 1.0), 0.95),
    "a step down by 15 %": (np.where(np.arange(40) < 25, 1.0, 0.85), 0.9),
    "a drift of 10 %": (1 + 0.1 * np.linspace(0, 1, 40), 0.9),
}


@pytest.mark.parametrize("n", [25, 40, 60])
@pytest.mark.parametrize("phi", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("share", [0.02, 0.10])
def test_a_steady_series_is_called_steady(n: int, phi: float, share: float) -> None:
    """All tests together, as one gate."""
    rows = around(100.0, ar1(8, phi, n, 250), share)
    assert float(np.mean([bool(steadiness(row, "it").reason) for row in rows])) <= 0.06


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_not_steady_is_found(name: str) -> None:
    shape, power = SHAPES[name]
    rows = around(100 * shape, ar1(9, 0.2, len(shape), 100), 0.03)
    assert float(np.mean([bool(steadiness(row, "it").reason) for row in rows])) >= power


def test_a_significant_drift_that_is_not_material_passes() -> None:
    found = steadiness(100 * (1 + 0.03 * np.linspace(0, 1, 60)) + 0.01 * ar1(10, 0.0, 60, 1)[0], "it")
    assert found.trend is not None
    assert found.trend.p_value < 1e-6
    assert found.reason == ""


def test_bins_without_a_value_are_left_out_and_short_series_are_not_judged() -> None:
    values = np.full(20, 5.0)
    values[3:6] = np.nan
    assert steadiness(values, "it").judged
    assert not steadiness(values[:8], "it").judged


def test_truncation_drops_the_ramp_and_at_most_half() -> None:
    ramped = np.concatenate([np.linspace(10, 90, 8), 100 + ar1(11, 0.0, 40, 1)[0]])
    assert 7 <= truncation(ramped) <= 9
    assert truncation(np.linspace(0, 1, 40)) <= 20
    assert truncation(np.array([1.0])) == 0


def test_a_ramp_before_a_perfectly_flat_rest_is_certain() -> None:
    found = ramp(np.array([0.0] * 3 + [10.0] * 20))
    assert found is not None
    assert found.bins == 3
    assert found.z < -1000
    assert np.isfinite(found.z)


def test_the_whole_of_a_steady_series_is_the_window() -> None:
    rows = around(100.0, ar1(12, 0.3, 60, 60), 0.03)
    lengths = [(w.end or 0) - (w.start or 0) for w in map(choose_window, rows)]
    assert float(np.median(lengths)) >= 58


def test_ramp_and_drain_stay_outside() -> None:
    shape = np.where(T < 8, 0.2 + 0.1 * T, 1.0) * np.where(T >= 54, 0.4, 1.0)
    chosen = [choose_window(row) for row in around(100 * shape, ar1(13, 0.2, 60, 60), 0.03)]
    assert float(np.mean([w.start is not None and 5 <= w.start <= 12 for w in chosen])) >= 0.9
    assert float(np.mean([w.end is not None and 40 <= w.end <= 56 for w in chosen])) >= 0.9


def test_of_two_plateaus_the_first_is_taken_though_the_second_is_longer() -> None:
    shape = np.where(T < 24, 1.0, 0.8)
    chosen = [choose_window(row) for row in around(100 * shape, ar1(14, 0.0, 60, 60), 0.03)]
    assert float(np.mean([w.end is not None and w.end <= 27 for w in chosen])) >= 0.9


def test_no_steady_state_is_an_answer() -> None:
    climbing = 100 + 5.0 * T + ar1(15, 0.0, 60, 1)[0]
    window = choose_window(climbing, minimum_bins=25)
    assert window.start is None
    assert window.reason.startswith("no steady state")
    assert "25 needed" in choose_window(climbing[:20], minimum_bins=25).reason


def test_the_choice_never_looks_at_the_level() -> None:
    """Shifted and mirrored values give the same window: only precision counts."""
    row = around(100.0, ar1(16, 0.4, 60, 1), 0.05)[0]
    assert truncation(row) == truncation(-row) == truncation(row + 1000)
