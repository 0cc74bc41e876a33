"""What dividing a model brings and costs in an estimate: the pipeline's bubble, and Amdahl's bound on tensor parallel."""

from __future__ import annotations

from typing import Any

from accounting.estimate.parallelism import bubble_share
from accounting.estimate.placement import Placement
from accounting.estimate.serving_estimate import ServingEstimate
from accounting.estimate.tensor_speedup import tensor_speedup


def parallelism(placed: Placement, found: ServingEstimate) -> dict[str, Any]:
    """The bubble of a round's prefill steps, None without stages; and how much faster a decode step is, can be, and why."""
    tensor = tensor_speedup(placed, found.load)
    staged = placed.pipeline > 1
    return {
        "prefill_steps": found.round.prefill_steps,
        "bubble_share": bubble_share(placed.pipeline, found.round.prefill_steps) if staged else None,
        "serial_share": tensor.serial_share,
        "tensor_speedup": tensor.speedup,
        "tensor_speedup_at_most": tensor.at_most,
    }


def parallel_sentences(said: dict[str, Any], *, tensor: int) -> list[str]:
    """The same in words; nothing of what does not happen."""
    words = []
    if said["bubble_share"] is not None:
        words.append(
            f"pipeline: {said['bubble_share']:.1%} of the time of {_steps(said['prefill_steps'])} is bubble"
        )
    most = said["tensor_speedup_at_most"]
    if tensor > 1 or most is not None:
        bound = "and nothing bounds it" if most is None else f"and at most {most:.3g} on any number"
        words.append(
            f"tensor parallel: a decode step is {said['tensor_speedup']:.3g} times as fast on {tensor}, {bound} (Amdahl: "
            f"{said['serial_share']:.1%} of it stay serial)"
        )
    return words


def _steps(number: float) -> str:
    return "one prefill step" if number == 1 else f"{number:.3g} prefill steps"
