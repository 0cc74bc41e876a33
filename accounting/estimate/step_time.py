"""How long one step takes at least: bytes over bandwidth or operations over rate, whichever is longer, and what is added.

The roofline (Williams, Waterman, Patterson, CACM 52 (2009) 65): no step is faster than either. A step of a decoder reads
its weights once for all sequences and each sequence's cache for itself, so that a larger batch shares the weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from accounting.estimate.operations import (
    attention_flops,
    head_flops,
    prefill_flops,
    projection_flops,
)
from accounting.estimate.parallelism import all_reduce_s
from accounting.estimate.parameters import touched_parameters
from accounting.estimate.placement import Placement
from accounting.estimate.shape import LatentAttention
from accounting.estimate.weight_bytes import weight_bytes

#: Activations are exchanged between devices in 16 bits.
_ACTIVATION_BYTES = 2
#: After attention and after the feed-forward block (Megatron-LM, arXiv 1909.08053).
_ALL_REDUCES_PER_LAYER = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """Seconds of one step of one replica by cause. Memory and compute overlap; link and overhead come on top."""

    memory_s: float
    compute_s: float
    link_s: float
    overhead_s: float

    @property
    def seconds(self) -> float:
        """The whole step."""
        return max(self.memory_s, self.compute_s) + self.link_s + self.overhead_s

    @property
    def bound(self) -> str:
        """What the step waits for most: memory, compute, link or overhead."""
        causes = {
            "memory": self.memory_s, "compute": self.compute_s, "link": self.link_s, "overhead": self.overhead_s,
        }  # fmt: skip
        return max(causes, key=lambda name: causes[name])


def decode_step(placed: Placement, batch: float, context: float, *, tokens: int = 1) -> StepTime:
    """A step of one replica in which `batch` sequences behind `context` tokens each compute `tokens` tokens.

    With pipeline stages the batch goes through in as many parts as there are stages (or sequences, if fewer): each part
    reads the weights for itself, and a token needs all stages, so that this is also the time between two tokens.

    Raises:
        ValueError: without a sequence or a token.
    """
    if batch <= 0 or tokens < 1 or context < 0:
        raise ValueError(f"{batch} sequences with {tokens} tokens behind {context} make no step")
    shape = placed.shape
    sequences = sequences_per_part(placed, batch)
    rows = sequences * tokens
    touched = touched_parameters(shape, rows)
    read = weight_bytes(touched, placed.weights) / placed.tensor
    cached = sequences * placed.device_cache_bytes(context) * placed.pipeline
    flops = rows * (projection_flops(shape) + head_flops(shape) + attention_flops(shape, context))
    return _step(placed, rows, read + cached, flops / placed.tensor, sequences)


def prefill_step(placed: Placement, tokens: int, *, prompts: float = 1.0) -> StepTime:
    """Prefill of `prompts` prompts of so many tokens each (on average, where steps hold parts of one), nothing cached, in one
    step through all pipeline stages of one replica.
    """
    shape = placed.shape
    rows = tokens * prompts
    read = weight_bytes(touched_parameters(shape, rows), placed.weights) / placed.tensor
    written = prompts * placed.device_cache_bytes(tokens) * placed.pipeline
    flops = prompts * prefill_flops(shape, tokens)
    return _step(placed, rows, read + written, flops / placed.tensor, prompts)


def sequences_per_part(placed: Placement, batch: float) -> float:
    """Sequences of a replica's batch that go through its pipeline stages together: there are as many parts as stages, or as
    sequences, if fewer.
    """
    return max(min(1.0, batch), batch / placed.pipeline)


def _step(placed: Placement, rows: float, moved_bytes: float, flops: float, sequences: float) -> StepTime:
    """A step of so many rows of so many sequences from what one device moves and computes in it."""
    device = placed.device
    return StepTime(
        memory_s=moved_bytes / (device.bandwidth_bytes_per_s * placed.bandwidth_share),
        compute_s=flops / (device.rate(placed.weights, rows) * placed.compute_share),
        link_s=_link_s(placed, rows),
        overhead_s=device.step_overhead_s
        + sequences * device.token_overhead_s
        + placed.shape.depth * (device.layer_overhead_s + sequences * device.layer_token_overhead_s),
    )


def _link_s(placed: Placement, rows: float) -> float:
    """All-reduces of every layer, and the hand-over from stage to stage."""
    link = placed.device.link_bytes_per_s
    if link is None or placed.tensor * placed.pipeline == 1:
        return 0.0
    message = rows * placed.shape.hidden * _ACTIVATION_BYTES
    reduces = _ALL_REDUCES_PER_LAYER * placed.shape.depth
    between_stages = (placed.pipeline - 1) * message / (link / 2)
    return reduces * all_reduce_s(message, placed.tensor, link) + between_stages


def repeats_its_cache(placed: Placement) -> bool:
    """Whether tensor-parallel devices hold the same keys and values several times over."""
    return placed.tensor > 1 and any(
        isinstance(kind.mixer, LatentAttention)
        or placed.tensor > getattr(kind.mixer, "kv_heads", placed.tensor)
        for kind in placed.shape.layers
    )
