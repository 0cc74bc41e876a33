"""What a head learns from its target: states behind three of its layers, its last state, and how much it likes what it says.

`hidden_states[j]` of transformers is the residual stream behind j layers for j below their number, as vLLM hands it to the
head. The last entry is normed already, vLLM's is not: behind all layers the stream is taken before the norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from drafts.training.teacher_store import Column


def default_layers(depth: int) -> tuple[int, ...]:
    """The layers that vLLM 0.32 takes where a head names none; it joins each once, in rising order."""
    return tuple(sorted({2, depth // 2, depth - 3}))


def layers_to_train(depth: int) -> tuple[int, ...]:
    """vLLM's default, and of a shallow target, where these are not three, its first, middle and last."""
    usual = default_layers(depth)
    return usual if len(usual) == 3 and usual[0] >= 0 else tuple(sorted({1, depth // 2, depth - 1}))


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
        ValueError: for a layer that the target has not.
    """

    target: Any
    layers: Sequence[int]

    def __post_init__(self) -> None:
        """Refuse layers that are not there."""
        depth = self.target.config.num_hidden_layers
        if any(not 0 <= layer <= depth for layer in self.layers):
            raise ValueError(f"layers {tuple(self.layers)} of a target with {depth}")

    @torch.inference_mode()
    def said_of(self, tokens: Tensor) -> dict[str, Tensor]:
        """Rows of one text, tokens (1, length)."""
        features, last = self._passed(tokens)
        logits = self.target.lm_head(last).float()
        return {
            "features": features.to(torch.bfloat16),
            "last": last.to(torch.bfloat16),
            "log_sum": logits.logsumexp(dim=-1, keepdim=True),
        }

    @torch.inference_mode()
    def features(self, tokens: Tensor) -> Tensor:
        """The states side by side, (length, layers * hidden), in the target's type."""
        return self._passed(tokens)[0]

    def _passed(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """States of the layers side by side, and the last state, normed."""
        before_norm: list[Tensor] = []
        hook = self.target.model.norm.register_forward_pre_hook(
            lambda _module, given: before_norm.append(given[0])
        )
        try:
            out = self.target.model(tokens, output_hidden_states=True, use_cache=False)
        finally:
            hook.remove()
        streams = [*out.hidden_states[: self.target.config.num_hidden_layers], before_norm[-1]]
        features = torch.cat([streams[layer] for layer in self.layers], dim=-1)[0]
        return features, out.last_hidden_state[0]
