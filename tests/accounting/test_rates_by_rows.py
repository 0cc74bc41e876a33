"""Measured rates by rows: fewer rows never take longer than more, nor more than the next measured step."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.estimate.device import Device
from accounting.estimate.known_shapes import LLAMA_3_8B
from accounting.estimate.placement import Placement
from accounting.estimate.serving_estimate import Load, estimate
from accounting.estimate.weight_bytes import Format
from tests.accounting.test_step_time import SLOW

RATES = st.dictionaries(st.sampled_from([1, 2, 4, 8, 16, 32, 64]), st.floats(1e9, 1e12), min_size=1)


def measured(rates: dict[int, float]) -> Device:
    return replace(SLOW, flops_per_s={Format.BFLOAT16: max(rates.values())}, rows_flops_per_s=rates)


def seconds(device: Device, rows: float) -> float:
    return rows / device.rate(Format.BFLOAT16, rows)


def test_five_rows_take_no_longer_than_eight() -> None:
    """Four rows and eight take the same time here, so that five do, too."""
    device = measured({4: 100e9, 8: 200e9})
    assert seconds(device, 4) == pytest.approx(seconds(device, 5)) == pytest.approx(seconds(device, 8))
    tpots = [
        estimate(
            Placement(shape=LLAMA_3_8B, device=device), Load(batch=batch, input_tokens=8, output_tokens=50)
        ).tpot_s
        for batch in range(4, 9)
    ]
    assert tpots == sorted(tpots)


@given(RATES, st.floats(1, 100), st.floats(0, 100))
def test_more_rows_never_take_less(rates: dict[int, float], rows: float, more: float) -> None:
    device = measured(rates)
    assert seconds(device, rows) <= seconds(device, rows + more) * (1 + 1e-9)


@given(RATES, st.floats(1, 64))
def test_no_more_than_any_larger_measured_step(rates: dict[int, float], rows: float) -> None:
    device = measured(rates)
    for count, rate in rates.items():
        if count >= rows:
            assert seconds(device, rows) <= count / rate * (1 + 1e-9)
