"""What an engine takes beside the device's own work: per step, and per sequence that gets a token. Fitted, not guessed.

A served model is slower than its roofline by what happens around its matrices: scheduling, sampling, detokenising, and on a
CPU the HTTP server's and the client's own share of the cores. It is told from a model that is so small that its own work is
nearly nothing, and added to the estimate of another. What the engine takes for each layer is not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import nnls

from accounting.estimate.placement import Placement
from accounting.estimate.serving_estimate import Load, estimate


@dataclass(frozen=True, slots=True)
class Served:
    """A load and the output tokens a second that were measured at it."""

    load: Load
    tokens_per_s: float


@dataclass(frozen=True, slots=True)
class EngineOverhead:
    """Seconds that each step takes more, and those for each sequence in it. `errors`: predicted / measured - 1 of each
    load with them, which says how well two numbers describe this engine.
    """

    step_s: float
    token_s: float
    errors: tuple[float, ...]


def fit_engine_overhead(placed: Placement, served: Sequence[Served]) -> EngineOverhead:
    """The two overheads, neither negative, by least squares of the relative error of the time of a round.

    A round is one answer of every sequence: all prompts prefilled, each in a step of its own, and as many steps as an
    answer needs.

    Args:
        placed: the small model where it was served; its device's own overheads of steps and sequences are left out.
        served: at least two loads of different batch.

    Raises:
        ValueError: with fewer than two different batches, or a rate that is not positive.
    """
    if len({point.load.batch for point in served}) < 2:
        raise ValueError(
            "a step's and a sequence's overhead are told apart by at least two different batches"
        )
    if any(point.tokens_per_s <= 0 for point in served):
        raise ValueError("a load with no tokens a second says nothing of overhead")
    bare = _with_overhead(placed, 0.0, 0.0)
    counts, missing_s = [], []
    for point in served:
        load = point.load
        round_s = load.batch * load.output_tokens / point.tokens_per_s
        roof_s = load.batch * load.output_tokens / estimate(bare, load).tokens_per_s
        steps = load.output_tokens - 1 + load.batch
        tokens = load.output_tokens * load.batch
        counts.append((steps / round_s, tokens / round_s))
        missing_s.append((round_s - roof_s) / round_s)
    (step_s, token_s), _ = nnls(np.array(counts), np.array(missing_s))
    fitted = _with_overhead(placed, float(step_s), float(token_s))
    errors = tuple(estimate(fitted, point.load).tokens_per_s / point.tokens_per_s - 1.0 for point in served)
    return EngineOverhead(float(step_s), float(token_s), errors)


def _with_overhead(placed: Placement, step_s: float, token_s: float) -> Placement:
    return replace(placed, device=replace(placed.device, step_overhead_s=step_s, token_overhead_s=token_s))
