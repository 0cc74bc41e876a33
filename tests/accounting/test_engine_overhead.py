"""The engine's own time is found again from what two small models' loads took, and predicts those of another model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accounting.estimate.engine_overhead import EngineOverhead, Served, fit_engine_overhead, fitted_error
from accounting.estimate.known_shapes import LLAMA_2_7B, LLAMA_3_8B
from accounting.estimate.placement import Placement
from accounting.estimate.serving_estimate import Load, estimate
from accounting.estimate.shape import ModelShape
from tests.accounting.test_step_time import SLOW

BATCHES = (1, 4, 16, 32)
OVERHEAD = EngineOverhead(step_s=0.3, token_s=0.05, layer_s=0.02, layer_token_s=0.004, matrix_share=0.6)


def layers(shape: ModelShape, number: int, *, hidden: int | None = None) -> ModelShape:
    return replace(shape, layers=(replace(shape.layers[0], count=number),), hidden=hidden or shape.hidden)


SHALLOW, DEEP, WIDE = (
    layers(LLAMA_2_7B, 6, hidden=512), layers(LLAMA_2_7B, 36, hidden=512), layers(LLAMA_2_7B, 4),
)  # fmt: skip


def served(*shapes: ModelShape, noise: float = 0.0, overhead: EngineOverhead = OVERHEAD) -> list[Served]:
    """What the estimate itself says of each load with the overhead, every second one higher and the others lower by `noise`."""
    return [
        Served(
            Placement(shape=shape, device=SLOW),
            load,
            estimate(Placement(shape=shape, device=overhead.on(SLOW)), load).tokens_per_s
            * (1 + noise * (-1) ** number),
        )
        for shape in shapes
        for number, load in enumerate(
            Load(batch=batch, input_tokens=60, output_tokens=40) for batch in BATCHES
        )
    ]


def test_what_was_put_in_is_found_and_holds_for_another_model() -> None:
    found = fit_engine_overhead(served(SHALLOW, DEEP, WIDE))
    assert found.step_s == pytest.approx(0.3)
    assert found.token_s == pytest.approx(0.05)
    assert found.layer_s == pytest.approx(0.02)
    assert found.layer_token_s == pytest.approx(0.004)
    assert found.matrix_share == pytest.approx(0.6)
    other = served(LLAMA_3_8B)
    assert [fitted_error(found, point) for point in other] == pytest.approx([0.0] * len(BATCHES), abs=1e-9)


def test_noise_moves_what_it_predicts_little_and_shows_in_the_errors() -> None:
    noisy = served(SHALLOW, DEEP, WIDE, noise=0.03)
    found = fit_engine_overhead(noisy)
    errors = [abs(fitted_error(found, point)) for point in noisy]
    assert 0.005 < max(errors) < 0.08
    assert max(abs(fitted_error(found, point)) for point in served(layers(LLAMA_2_7B, 30))) < 0.1


def test_an_engine_that_is_faster_than_the_roofline_has_no_overhead() -> None:
    faster = [
        replace(point, tokens_per_s=2 * point.tokens_per_s)
        for point in served(SHALLOW, DEEP, WIDE, overhead=EngineOverhead())
    ]
    assert fit_engine_overhead(faster) == EngineOverhead()
    assert [fitted_error(EngineOverhead(), point) for point in faster] == pytest.approx([-0.5] * len(faster))


def test_what_a_device_holds_for_a_layer_is_the_engine_s_afterwards() -> None:
    device = OVERHEAD.on(replace(SLOW, layer_overhead_s=0.5, rows_flops_per_s={1: 10e9, 8: 60e9}))
    assert device.layer_overhead_s == 0.02
    assert device.bandwidth_bytes_per_s == pytest.approx(0.6 * SLOW.bandwidth_bytes_per_s)
    assert device.rows_flops_per_s == pytest.approx({1: 6e9, 8: 36e9})


def test_one_batch_depth_or_width_or_no_tokens_tell_nothing() -> None:
    points = served(SHALLOW, DEEP, WIDE)
    same_batch = [point for point in points if point.load.batch == 4]
    for lacking in (same_batch, served(SHALLOW, DEEP), served(layers(WIDE, 6), SHALLOW)):
        with pytest.raises(ValueError, match="two batches, two depths and two widths"):
            fit_engine_overhead(lacking)
    with pytest.raises(ValueError, match="no tokens a second"):
        fit_engine_overhead([*points[1:], replace(points[0], tokens_per_s=0.0)])
