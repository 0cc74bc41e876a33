"""What an engine takes beside the device's own work, and how much of the device's speed it reaches: fitted.

A served model is slower than its roofline by what happens around its matrices. Once a step: scheduling, sampling. For each
sequence in it: detokenising, and on a CPU the HTTP server's and the client's own share of the cores. For each layer: its
operations are started one by one, and threads wait for one another after each. For each sequence in each layer: its own
part of attention. And the matrices themselves take longer where other processes of the engine hold the cores: on two cores
one that polls takes nearly one of them. All five are told from small models of two depths and two widths, and hold for others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import nnls

from accounting.estimate.device import Device
from accounting.estimate.placement import Placement
from accounting.estimate.serving_estimate import Load, estimate, round_of


@dataclass(frozen=True, slots=True)
class Served:
    """A model where it was served, a load, and the output tokens a second that were measured at it."""

    placed: Placement
    load: Load
    tokens_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOverhead:
    """Seconds that each step takes more (`step_s`), each sequence in it (`token_s`), each layer (`layer_s`, starting its
    operations included) and each sequence in each layer (`layer_token_s`); `matrix_share`: of the device's bandwidth and rate.
    """

    step_s: float = 0.0
    token_s: float = 0.0
    layer_s: float = 0.0
    layer_token_s: float = 0.0
    matrix_share: float = 1.0

    def on(self, device: Device) -> Device:
        """The device as this engine uses it."""
        share = self.matrix_share
        return replace(
            device,
            bandwidth_bytes_per_s=share * device.bandwidth_bytes_per_s,
            flops_per_s={form: share * rate for form, rate in device.flops_per_s.items()},
            rows_flops_per_s={rows: share * rate for rows, rate in device.rows_flops_per_s.items()},
            step_overhead_s=self.step_s,
            token_overhead_s=self.token_s,
            layer_overhead_s=self.layer_s,
            layer_token_overhead_s=self.layer_token_s,
        )


def fit_engine_overhead(served: Sequence[Served]) -> EngineOverhead:
    """The four overheads, none negative, and the share, at most 1, by least squares of the relative error of a round's time.

    A round is one answer of every sequence, in the very steps that the estimate reckons with (`round_of`).

    Args:
        served: loads of at least two batches, on models of at least two depths and two widths, on one device.

    Raises:
        ValueError: with fewer batches, depths or widths, or a rate that is not positive.
    """
    shapes = [point.placed.shape for point in served]
    kinds = ({point.load.batch for point in served}, {s.depth for s in shapes}, {s.hidden for s in shapes})
    if min(map(len, kinds)) < 2:
        raise ValueError(
            "what a step, a sequence, a layer and its matrices take is told apart by at least two batches, two depths and "
            "two widths"
        )
    if any(point.tokens_per_s <= 0 for point in served):
        raise ValueError("a load with no tokens a second says nothing of overhead")
    rows = np.array([_parts(point) for point in served])
    slower, *seconds = nnls(rows, np.ones(len(rows)))[0]
    if slower < 1.0:  # no engine multiplies faster than the device: what seemed so was noise
        slower, seconds = 1.0, nnls(rows[:, 1:], 1.0 - rows[:, 0])[0]
    step_s, token_s, layer_s, layer_token_s = map(float, seconds)
    return EngineOverhead(
        step_s=step_s,
        token_s=token_s,
        layer_s=layer_s,
        layer_token_s=layer_token_s,
        matrix_share=1.0 / float(slower),
    )


def _parts(point: Served) -> tuple[float, ...]:
    """What a measured round consists of, each part over the round's seconds: the device's own seconds, then how many steps,
    sequences in them, layers, and sequences in layers.
    """
    load, depth = point.load, point.placed.shape.depth
    bare = EngineOverhead().on(point.placed.device)
    round_s = load.batch * load.output_tokens / point.tokens_per_s
    own_s = load.batch * load.output_tokens / estimate(replace(point.placed, device=bare), load).tokens_per_s
    taken = round_of(point.placed, load)
    steps, tokens = taken.steps, taken.sequence_steps
    return tuple(part / round_s for part in (own_s, steps, tokens, steps * depth, tokens * depth))


def fitted_error(overhead: EngineOverhead, point: Served) -> float:
    """Predicted / measured - 1 of one load with the overhead: how well five numbers describe this engine."""
    placed = replace(point.placed, device=overhead.on(point.placed.device))
    return estimate(placed, point.load).tokens_per_s / point.tokens_per_s - 1.0
