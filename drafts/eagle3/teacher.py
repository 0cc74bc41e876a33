"""What a head learns from its target: states behind three of its layers, its last state, and how much it likes what it says.

`hidden_states[j]` of transformers is the residual stream behind j layers for j below their number, as vLLM hands it to the
head. The last entry is normed already; it is used for the target's own distribution only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from drafts.training.teacher_store import Column


def default_layers(depth: int) -> tuple[int, int, int]:
    """The layers that vLLM 0.32 takes where a head names none."""
    return (2, depth // 2, depth - 3)


def columns(hidden: int, layers: int) -> dict[str, Column]:
    """What is kept of each token: 16-bit states, and the logarithm of the target's sum over its whole vocabulary."""
    return {
        "features": Column(hidden * layers, "uint16"),
        "last": Column(hidden, "uint16"),
        "log_sum": Column(1, "float32"),
    }


@dataclass(frozen=True, slots=True)
class Eagle3Teacher:
    """A target in evaluation, and the layers to look behind.

    Raises:
        ValueError: for a layer that is not below the number of layers: there vLLM's state is not transformers'.
    """

    target: Any
    layers: Sequence[int]

    def __post_init__(self) -> None:
        """Refuse layers that would be another thing when served."""
        depth = self.target.config.num_hidden_layers
        if any(not 0 <= layer < depth for layer in self.layers):
            raise ValueError(
                f"layers {tuple(self.layers)} of a target with {depth}: each must lie below that"
            )

    @torch.inference_mode()
    def said_of(self, tokens: Tensor) -> dict[str, Tensor]:
        """Rows of one text, tokens (1, length)."""
        out = self.target.model(tokens, output_hidden_states=True, use_cache=False)
        features = torch.cat([out.hidden_states[layer] for layer in self.layers], dim=-1)[0]
        last = out.last_hidden_state[0]
        logits = self.target.lm_head(last).float()
        return {
            "features": features.to(torch.bfloat16),
            "last": last.to(torch.bfloat16),
            "log_sum": logits.logsumexp(dim=-1, keepdim=True),
        }
