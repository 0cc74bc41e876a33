import numpy as np
import pytest

from accounting.percentiles import PERCENTILES, quoted, sample_floor


def test_every_percentile_is_quoted_from_its_floor_on() -> None:
    assert [sample_floor(q) for q in PERCENTILES] == [11, 130, 662]
    for n, quotable in ((10, set()), (11, {"p50"}), (130, {"p50", "p95"}), (662, {"p50", "p95", "p99"})):
        found = quoted(np.arange(float(n)))
        assert {name for name in ("p50", "p95", "p99") if found[name] is not None} == quotable
        assert found["samples"] == n
        assert (found["reason"] is None) == (len(quotable) == 3)


def test_values_are_quantiles_and_the_reason_names_every_floor() -> None:
    found = quoted(list(np.arange(201.0)))
    assert found["p50"] == pytest.approx(100.0)
    assert found["p95"] == pytest.approx(190.0)
    assert found["reason"] == "201 samples; p99 needs 662"
