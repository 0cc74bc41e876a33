"""What an engine takes beside the device's own work, fitted: per step, per layer, and for each sequence in either.

A served model is slower than its roofline by what happens around its matrices. Once a step: scheduling, sampling. For each
sequence in it: detokenising, and on a CPU the HTTP server's and the client's own share of the cores. For each layer: its
operations are started one by one, and threads wait for one another after each. For each sequence in each layer: its own
part of attention. All four are told from small models of two depths, and added to the estimate of another.
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
    """Seconds that each step takes more (`step_s`), each sequence in it (`token_s`), each layer (`layer_s`) and each
    sequence in each layer (`layer_token_s`).
    """

    step_s: float = 0.0
    token_s: float = 0.0
    layer_s: float = 0.0
    layer_token_s: float = 0.0

    def on(self, device: Device) -> Device:
        """The device with these; what starting a layer's operations takes on it alone stays, and comes first."""
        return replace(
            device,
            step_overhead_s=self.step_s,
            token_overhead_s=self.token_s,
            layer_overhead_s=device.layer_overhead_s + self.layer_s,
            layer_token_overhead_s=self.layer_token_s,
        )


def fit_engine_overhead(served: Sequence[Served]) -> EngineOverhead:
    """The four overheads, none negative, by least squares of the relative error of the time of a round.

    A round is one answer of every sequence, in the very steps that the estimate reckons with (`round_of`).

    Args:
        served: loads of at least two batches, on models of at least two depths. What their devices hold of an engine's
            overheads counts as the device's own.

    Raises:
        ValueError: with fewer batches or depths, or a rate that is not positive.
    """
    batches = {point.load.batch for point in served}
    depths = {point.placed.shape.depth for point in served}
    if min(len(batches), len(depths)) < 2:
        raise ValueError(
            "what a step, a sequence and a layer take is told apart by at least two batches, and models of two depths"
        )
    if any(point.tokens_per_s <= 0 for point in served):
        raise ValueError("a load with no tokens a second says nothing of overhead")
    counts, missing_s = [], []
    for point in served:
        load, depth = point.load, point.placed.shape.depth
        round_s = load.batch * load.output_tokens / point.tokens_per_s
        roof_s = load.batch * load.output_tokens / estimate(point.placed, load).tokens_per_s
        taken = round_of(point.placed, load)
        steps, tokens = taken.steps, taken.sequence_steps
        counts.append([count / round_s for count in (steps, tokens, steps * depth, tokens * depth)])
        missing_s.append((round_s - roof_s) / round_s)
    found, _ = nnls(np.array(counts), np.array(missing_s))
    step_s, token_s, layer_s, layer_token_s = map(float, found)
    return EngineOverhead(step_s=step_s, token_s=token_s, layer_s=layer_s, layer_token_s=layer_token_s)


def fitted_error(overhead: EngineOverhead, point: Served) -> float:
    """Predicted / measured - 1 of one load with the overhead: how well four numbers describe this engine."""
    placed = replace(point.placed, device=overhead.on(point.placed.device))
    return estimate(placed, point.load).tokens_per_s / point.tokens_per_s - 1.0
