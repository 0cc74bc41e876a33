import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.percentiles import percentile, sample_floor


@pytest.mark.parametrize(("quantile", "floor"), [(0.90, 64), (0.95, 130), (0.99, 662)])
def test_the_floors_are_those_of_the_early_stopping_bound(quantile: float, floor: int) -> None:
    assert sample_floor(quantile) == floor


@given(st.floats(0.5, 0.995), st.floats(0.5, 0.995))
def test_a_higher_percentile_never_needs_fewer_samples(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert sample_floor(low) <= sample_floor(high)


def test_one_sample_below_the_floor_is_refused_with_both_numbers() -> None:
    refused = percentile([1.0] * 129, 0.95)
    assert refused.value is None
    assert refused.reason == "129 samples; p95 needs 130"


@given(st.lists(st.floats(0, 1e6), min_size=130, max_size=300))
def test_percentiles_are_ordered_and_inside_the_samples(samples: list[float]) -> None:
    p50, p95 = percentile(samples, 0.5).value, percentile(samples, 0.95).value
    assert p50 is not None
    assert p95 is not None
    assert min(samples) <= p50 <= p95 <= max(samples)
    assert p95 == pytest.approx(float(np.quantile(samples, 0.95)))


@pytest.mark.parametrize("quantile", [0.0, 1.0, -0.1, 95])
def test_a_quantile_outside_zero_and_one_is_an_error(quantile: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        sample_floor(quantile)
