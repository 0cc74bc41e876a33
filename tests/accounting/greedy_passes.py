"""Simulated greedy passes over shared true logits: rounding noise flips near-ties, a lossy server flips anything."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accounting.greedy_texts import GreedyText

RANKS = 4
Logits = npt.NDArray[np.float64]


def true_logits(rng: np.random.Generator, prompts: int, tokens: int) -> Logits:
    """Shape (prompts, tokens, RANKS), in nats, falling: exponential gaps, so that near-ties are as common as they are."""
    gaps = rng.exponential(3.0, size=(prompts, tokens, RANKS - 1))
    falling = np.concatenate([np.zeros((prompts, tokens, 1)), -np.cumsum(gaps, axis=-1)], axis=-1)
    return np.asarray(falling)


def greedy_pass(
    rng: np.random.Generator, truth: Logits, *, noise_nats: float, wrong_share: float = 0.0
) -> list[GreedyText]:
    """One pass. Noise has heavy tails (Student's t, 4 degrees of freedom). A text that departs from the truly likeliest
    tokens goes on with other ids, the same ones for the same departure."""
    logits = truth + noise_nats * rng.standard_t(4, size=truth.shape)
    order = np.argsort(-logits, axis=-1, kind="stable")
    ranked = np.take_along_axis(logits, order, axis=-1)
    wrong = rng.random(truth.shape[:2]) < wrong_share
    chosen = np.where(wrong, rng.integers(1, RANKS, size=wrong.shape), 0)
    return [_text(order[number], ranked[number], chosen[number]) for number in range(truth.shape[0])]


def _text(order: npt.NDArray[np.intp], ranked: Logits, chosen: npt.NDArray[np.int64]) -> GreedyText:
    token_ids, others, path = [], [], 0
    for position, (tokens, values, choice) in enumerate(
        zip(order.tolist(), ranked.tolist(), chosen.tolist(), strict=True)
    ):
        ids = [1000 * path + RANKS * position + int(token) for token in tokens]
        gaps = [(ids[rank], float(values[choice] - values[rank])) for rank in range(RANKS) if rank != choice]
        token_ids.append(ids[choice])
        others.append(tuple(sorted(gaps, key=lambda entry: entry[1])))
        if tokens[choice] != 0:
            path = (path * 97 + RANKS * position + int(tokens[choice])) % 1_000_003
    return GreedyText(tuple(token_ids), tuple(others))
