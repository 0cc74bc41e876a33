"""A judged losslessness as plain values: the noise, the candidate and the baseline's second pass, with prompts by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from accounting.divergence_count import CONFIDENCE, WRONG_RATE, Comparison
from accounting.losslessness import NOISE_QUANTILE, Losslessness

Document = dict[str, Any]


def losslessness_document(found: Losslessness, prompt_ids: Sequence[str]) -> Document:
    """What the verdict rests on; `prompt_ids` in the order of the texts."""
    return {
        "noise": {
            "quantile": NOISE_QUANTILE,
            "threshold_nats": found.threshold_nats,
            "positions": found.noise_positions,
            "candidate_nats": found.candidate_noise_nats,
        },
        "wrong_rate": WRONG_RATE,
        "confidence": CONFIDENCE,
        "candidate": _compared(found.candidate, prompt_ids),
        "baseline_again": _compared(found.baseline_again, prompt_ids),
    }


def _compared(comparison: Comparison, prompt_ids: Sequence[str]) -> Document:
    divergences = [
        asdict(divergence) | {"prompt": prompt_ids[divergence.prompt]}
        for divergence in comparison.divergences
    ]
    counted = {"excused": comparison.excused, "unexcused": comparison.unexcused}
    return asdict(comparison) | counted | {"divergences": divergences}
