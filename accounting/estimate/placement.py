"""How a model lies on devices: weights and caches of each, and the largest batch that fits."""

from __future__ import annotations

import math
from dataclasses import dataclass

from accounting.estimate.cache_bytes import sequence_bytes
from accounting.estimate.device import Device
from accounting.estimate.parameters import parameters
from accounting.estimate.shape import ModelShape
from accounting.estimate.weight_bytes import Format, weight_bytes

#: Share of a device's memory that an engine takes for weights and caches: vLLM's own default on a GPU.
MEMORY_SHARE = 0.92


def own_cache_element_bytes(weights: Format) -> float:
    """Bytes of a key or value where nothing else is said: those of the activations beside such weights."""
    return 4.0 if weights is Format.FLOAT32 else 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A model in a number format on `tensor` x `pipeline` x `data` devices of one kind.

    `cache_element_bytes`: of a key or value. `memory_share`: of each device's memory, for weights and caches.
    `bandwidth_share` and `compute_share`: how much of the device's stated rates is reached, 1 for the roofline itself.
    """

    shape: ModelShape
    device: Device
    weights: Format = Format.BFLOAT16
    cache_element_bytes: float = 2.0
    tensor: int = 1
    pipeline: int = 1
    data: int = 1
    memory_share: float = MEMORY_SHARE
    bandwidth_share: float = 1.0
    compute_share: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be placed."""
        for name in ("tensor", "pipeline", "data"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} parallel ways must be at least 1, not {getattr(self, name)}")
        if self.pipeline > self.shape.depth:
            raise ValueError(f"{self.shape.depth} layers cannot be {self.pipeline} pipeline stages")
        for name in ("memory_share", "bandwidth_share", "compute_share"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1, not {getattr(self, name)}")
        if self.tensor > 1 and self.device.link_bytes_per_s is None:
            raise ValueError(
                f"device {self.device.name} states no link to its neighbours: tensor parallel needs one"
            )

    @property
    def devices(self) -> int:
        """Devices in all."""
        return self.tensor * self.pipeline * self.data

    @property
    def weight_bytes(self) -> float:
        """Of the whole model, one replica."""
        return weight_bytes(parameters(self.shape), self.weights)

    @property
    def device_weight_bytes(self) -> float:
        """On each device, evenly divided."""
        return self.weight_bytes / (self.tensor * self.pipeline)

    def device_cache_bytes(self, context: float) -> float:
        """What one sequence of so many tokens holds on each device of its replica."""
        held = sequence_bytes(self.shape, context, ways=self.tensor, element_bytes=self.cache_element_bytes)
        return held / self.pipeline

    def free_bytes(self) -> float:
        """What weights leave for caches on each device; negative where they do not fit."""
        return self.device.memory_bytes * self.memory_share - self.device_weight_bytes

    def largest_batch(self, context: float, *, beside: Placement | None = None) -> int:
        """Sequences of `context` tokens that fit, over all replicas; 0 where the weights or one sequence do not.

        `beside`: a draft model on the same devices, which keeps each sequence, too.
        """
        free, per_sequence = self.free_bytes(), self.device_cache_bytes(context)
        if beside is not None:
            free -= beside.device_weight_bytes
            per_sequence += beside.device_cache_bytes(context)
        if free <= 0:
            return 0
        return self.data * math.floor(free / per_sequence) if per_sequence > 0 else 10**9
