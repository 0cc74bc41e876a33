"""The engine's own time is found again from what a small model's loads took, and predicts those of another model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accounting.estimate.engine_overhead import Served, fit_engine_overhead
from accounting.estimate.known_shapes import LLAMA_2_7B, LLAMA_3_8B
from accounting.estimate.placement import Placement
from accounting.estimate.serving_estimate import Load, estimate
from tests.accounting.test_step_time import SLOW

LOADS = [Load(batch=batch, input_tokens=60, output_tokens=40) for batch in (1, 4, 16, 32)]


def served(placed: Placement, *, noise: float = 0.0) -> list[Served]:
    """What the estimate itself says of each load, every second one higher and the others lower by `noise`."""
    return [
        Served(load, estimate(placed, load).tokens_per_s * (1 + noise * (-1) ** number))
        for number, load in enumerate(LOADS)
    ]


def test_what_was_put_in_is_found_and_holds_for_another_model() -> None:
    device = replace(SLOW, step_overhead_s=0.3, token_overhead_s=0.05, layer_overhead_s=0.001)
    small = Placement(shape=LLAMA_2_7B, device=device)
    found = fit_engine_overhead(small, served(small))
    assert found.step_s == pytest.approx(0.3)
    assert found.token_s == pytest.approx(0.05)
    assert found.errors == pytest.approx([0.0] * len(LOADS), abs=1e-9)
    other = Placement(shape=LLAMA_3_8B, device=device)
    fitted = replace(device, step_overhead_s=found.step_s, token_overhead_s=found.token_s)
    for point in served(other):
        assert estimate(replace(other, device=fitted), point.load).tokens_per_s == pytest.approx(
            point.tokens_per_s
        )


def test_noise_moves_it_little_and_shows_in_the_errors() -> None:
    device = replace(SLOW, step_overhead_s=0.3, token_overhead_s=0.05)
    small = Placement(shape=LLAMA_2_7B, device=device)
    found = fit_engine_overhead(small, served(small, noise=0.03))
    assert found.step_s == pytest.approx(0.3, rel=0.25)
    assert found.token_s == pytest.approx(0.05, rel=0.35)
    assert 0.005 < max(map(abs, found.errors)) < 0.06


def test_an_engine_that_is_faster_than_the_roofline_has_no_negative_overhead() -> None:
    small = Placement(shape=LLAMA_2_7B, device=SLOW)
    faster = [Served(point.load, 2 * point.tokens_per_s) for point in served(small)]
    found = fit_engine_overhead(small, faster)
    assert (found.step_s, found.token_s) == (0.0, 0.0)
    assert found.errors == pytest.approx([-0.5] * len(LOADS))


def test_one_batch_or_no_tokens_tell_nothing() -> None:
    small = Placement(shape=LLAMA_2_7B, device=SLOW)
    with pytest.raises(ValueError, match="two different batches"):
        fit_engine_overhead(small, served(small)[:1] * 3)
    with pytest.raises(ValueError, match="no tokens a second"):
        fit_engine_overhead(small, [Served(LOADS[0], 0.0), Served(LOADS[1], 5.0)])
