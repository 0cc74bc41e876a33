"""The EAGLE-3 head as vLLM serves it: one Llama layer over a target's features and the embedding of the next token.

Slot i holds the feature of position i and the embedding of token i + 1, at rotary position i, and predicts token i + 2. A
chain that starts at slot i goes on with the head's own output in the feature's place, token i + 2 and position i + 1, and so
forth; its attention sees the features' keys of slots 0 to i and those of its own steps. All chains of a text are computed at
once: step j of the chain at slot i lies at row i of the j-th pass, and of the earlier passes it sees row i alone.

Source of the layout: vLLM 0.32, model_executor/models/llama_eagle3.py; of the unrolled passes: arXiv 2503.01840.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadShape:
    """Sizes of a head. `features`: how many of the target's layers it looks at; `vocabulary`: tokens that it can draft.

    `norm_before_residual`: the layer's residual is the feature behind its norm; heads of other trainers are made so.
    """

    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    features: int = 3
    rms_eps: float = 1e-5
    rope_theta: float = 10_000.0
    norm_before_residual: bool = False


class Norm(nn.RMSNorm):
    """RMS norm in float32 whatever the input's type, as a server computes it; the output has the input's type."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., hidden) to the same."""
        return functional.rms_norm(x.float(), self.normalized_shape, self.weight.float(), self.eps).to(
            x.dtype
        )


class Attention(nn.Module):
    """Grouped attention over twice the hidden size: the embedding beside the feature."""

    def __init__(self, shape: HeadShape) -> None:
        super().__init__()
        self.shape = shape
        wide, narrow = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
        self.q_proj = nn.Linear(2 * shape.hidden, wide, bias=False)
        self.k_proj = nn.Linear(2 * shape.hidden, narrow, bias=False)
        self.v_proj = nn.Linear(2 * shape.hidden, narrow, bias=False)
        self.o_proj = nn.Linear(wide, shape.hidden, bias=False)

    def forward(
        self, x: Tensor, rotary: tuple[Tensor, Tensor], earlier: list[tuple[Tensor, Tensor]]
    ) -> Tensor:
        """One pass.

        Args:
            x: (texts, slots, 2 * hidden).
            rotary: cosines and sines of each slot's position in this pass, (slots, head_size) each.
            earlier: keys and values of the earlier passes, each (texts, heads, slots, head_size); this one's are added.
        """
        q = rotated(self._split(self.q_proj(x), self.shape.heads), rotary)
        k = self._repeated(rotated(self._split(self.k_proj(x), self.shape.kv_heads), rotary))
        v = self._repeated(self._split(self.v_proj(x), self.shape.kv_heads))
        earlier.append((k, v))
        if len(earlier) == 1:
            seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            seen = _attend_own_steps(q, earlier)
        return self.o_proj(seen.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor, heads: int) -> Tensor:
        return x.unflatten(-1, (heads, self.shape.head_size)).transpose(1, 2)

    def _repeated(self, x: Tensor) -> Tensor:
        return x.repeat_interleave(self.shape.heads // self.shape.kv_heads, dim=1)


def _attend_own_steps(q: Tensor, passes: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Attention to the features' keys up to the own slot, and to the own slot's row of each later pass."""
    (k0, v0), own = passes[0], passes[1:]
    scale = q.shape[-1] ** -0.5
    slots = q.shape[-2]
    hidden_from = torch.ones(slots, slots, dtype=torch.bool, device=q.device).triu(1)
    to_features = (q @ k0.transpose(-1, -2) * scale).masked_fill(hidden_from, float("-inf"))
    to_own = [(q * k).sum(-1, keepdim=True) * scale for k, _ in own]
    weights = torch.cat([to_features, *to_own], dim=-1).float().softmax(dim=-1).to(q.dtype)
    seen = weights[..., :slots] @ v0
    for number, (_, v) in enumerate(own):
        seen = seen + weights[..., slots + number : slots + number + 1] * v
    return seen


class FeedForward(nn.Module):
    """Llama's gated block."""

    def __init__(self, shape: HeadShape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden, shape.intermediate, bias=False)
        self.up_proj = nn.Linear(shape.hidden, shape.intermediate, bias=False)
        self.down_proj = nn.Linear(shape.intermediate, shape.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., hidden) to the same."""
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """The head's one layer."""

    def __init__(self, shape: HeadShape) -> None:
        super().__init__()
        self.self_attn = Attention(shape)
        self.mlp = FeedForward(shape)
        self.norm_before_residual = shape.norm_before_residual
        self.input_layernorm = Norm(shape.hidden, eps=shape.rms_eps)
        self.hidden_norm = Norm(shape.hidden, eps=shape.rms_eps)
        self.post_attention_layernorm = Norm(shape.hidden, eps=shape.rms_eps)

    def forward(
        self,
        embedded: Tensor,
        feature: Tensor,
        rotary: tuple[Tensor, Tensor],
        earlier: list[tuple[Tensor, Tensor]],
    ) -> Tensor:
        """(texts, slots, hidden) twice to the state that the next step takes as its feature."""
        normed = self.hidden_norm(feature)
        x = torch.cat([self.input_layernorm(embedded), normed], dim=-1)
        x = (normed if self.norm_before_residual else feature) + self.self_attn(x, rotary, earlier)
        return x + self.mlp(self.post_attention_layernorm(x))


class Eagle3Head(nn.Module):
    """Parameters under the names of vLLM's plain layout. The target's embedding is used and not owned."""

    def __init__(self, shape: HeadShape) -> None:
        super().__init__()
        self.shape = shape
        self.fc = nn.Linear(shape.features * shape.hidden, shape.hidden, bias=False)
        self.midlayer = Layer(shape)
        self.norm = Norm(shape.hidden, eps=shape.rms_eps)
        self.lm_head = nn.Linear(shape.hidden, shape.vocabulary, bias=False)

    def unrolled(self, features: Tensor, embedded: Tensor, steps: int) -> list[Tensor]:
        """States of so many steps of every chain, before the final norm.

        Args:
            features: the target's states at each position, side by side, (texts, positions, features * hidden).
            embedded: the target's embedding of each position's token, (texts, positions, hidden).

        Returns:
            A tensor (texts, positions - 1, hidden) for each step: row i of step j is the chain that starts at slot i and
            predicts token i + 2 + j. Rows whose tokens lie beyond the text hold what zeros in their place give.
        """
        slots = features.shape[1] - 1
        state = self.fc(features[:, :slots])
        following = functional.pad(embedded[:, 1:], (0, 0, 0, steps))
        positions = torch.arange(slots, device=features.device)
        earlier: list[tuple[Tensor, Tensor]] = []
        states = []
        for step in range(steps):
            rotary = rotary_of(positions + step, self.shape, state.dtype)
            state = self.midlayer(following[:, step : step + slots], state, rotary, earlier)
            states.append(state)
        return states

    def logits(self, state: Tensor) -> Tensor:
        """(..., hidden) to (..., vocabulary): over the draft's own token numbers."""
        return self.lm_head(self.norm(state))


def rotary_of(positions: Tensor, shape: HeadShape, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines, (positions, head_size) each, in Llama's order of halves."""
    half = torch.arange(0, shape.head_size, 2, device=positions.device).float() / shape.head_size
    angles = positions.float()[:, None] * shape.rope_theta**-half
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotated(x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary embedding of (..., slots, head_size)."""
    cos, sin = rotary
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin
