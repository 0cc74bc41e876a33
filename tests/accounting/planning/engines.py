"""Step costs that are known, as windows would have shown them."""

from __future__ import annotations

import random
from collections.abc import Iterator

from accounting.planning.step_cost import StepCost, StepWork, fit_step_cost

STEP_S, SEQUENCE_S, JUDGED_S, CONTEXT_S, PREFILLED_S = 10e-3, 0.4e-3, 0.2e-3, 1e-6, 0.05e-3
LOOKUP_STEP_S, LOOKUP_SEQUENCE_S = 1e-3, 0.1e-3
PASS_S, PASS_SEQUENCE_S = 2e-3, 0.05e-3


def seconds(work: StepWork) -> float:
    """What a step of this engine takes."""
    shared = (
        STEP_S + SEQUENCE_S * work.sequences + JUDGED_S * work.drafted + CONTEXT_S * work.context
        + PREFILLED_S * work.prefilled
    )  # fmt: skip
    if work.method == "ngram":
        return shared + LOOKUP_STEP_S + LOOKUP_SEQUENCE_S * work.sequences
    if work.method == "draft_model":
        return shared + work.draft_steps * (PASS_S + PASS_SEQUENCE_S * work.sequences)
    return shared


def windows(noise: float = 0.0, seed: int = 1) -> Iterator[tuple[StepWork, float]]:
    """A grid of what a profile measures: each method at several k and numbers of sequences."""
    draw = random.Random(seed)
    for method, ks in (("off", (0,)), ("ngram", (2, 4, 6)), ("draft_model", (1, 3, 5))):
        for k in ks:
            for streams in (1, 2, 4, 8, 16, 32):
                found = 0.6 if method == "ngram" else 1.0
                work = StepWork(
                    method=method,
                    sequences=0.98 * streams,
                    drafted=streams * k * found,
                    draft_steps=float(k) if method == "draft_model" else 0.0,
                    context=streams * draw.choice((100.0, 250.0, 400.0)),
                    prefilled=streams * draw.choice((0.5, 2.0, 6.0)),
                )
                yield work, seconds(work) * (1.0 + draw.gauss(0.0, noise))


def fitted(noise: float = 0.0, seed: int = 1) -> StepCost:
    """The cost of this engine as a profile finds it."""
    return fit_step_cost(list(windows(noise, seed)))
