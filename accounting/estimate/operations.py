"""Floating-point operations of prefill and decode: two for each multiply-add.

Projections do two per parameter and token, whatever the context. Attention between tokens does more the longer the
context is: for each query two multiply-adds per element of its width and token seen, one for the score and one for the value.
"""

from __future__ import annotations

from dataclasses import dataclass

from accounting.estimate.cache_bytes import kept_tokens
from accounting.estimate.parameters import active_parameters, feed_forward_parameters, mixer_parameters
from accounting.estimate.shape import Experts, GroupedAttention, LatentAttention, Mixer, ModelShape

#: Of Mamba's scan, per element of its state and token: discretise, decay, add the input, read out (rounded up).
_SCAN_OPERATIONS = 9


def projection_flops(shape: ModelShape) -> float:
    """Of one token through all layers, without attention between tokens and without the head."""
    counted = active_parameters(shape)
    return 2.0 * (counted.body - counted.norms)


def head_flops(shape: ModelShape) -> float:
    """Of the logits of one token."""
    width = shape.embedding_width
    if width is None:
        return 2.0 * shape.hidden * shape.vocabulary
    return 2.0 * width * (shape.hidden + shape.vocabulary)


def attention_flops(shape: ModelShape, context: float, *, absorbed: bool = True) -> float:
    """Of one token that sees `context` tokens, in all layers; scans of state-space layers count here.

    `absorbed`: latent attention as decoding does it, on the compressed vectors; else as prefill does, on full heads.
    """
    return sum(kind.count * _seen(kind.mixer, context, absorbed=absorbed) for kind in shape.layers)


def decode_flops(shape: ModelShape, context: float) -> float:
    """Of one generated token behind `context` tokens, its logits included."""
    return projection_flops(shape) + head_flops(shape) + attention_flops(shape, context)


def prefill_flops(shape: ModelShape, tokens: int, *, causal: bool = True) -> float:
    """Of a prompt: projections of every token, attention among them, logits of the last.

    Raises:
        ValueError: for less than one token.
    """
    if tokens < 1:
        raise ValueError(f"a prompt of {tokens} tokens cannot be")
    attention = sum(
        kind.count * _seen(kind.mixer, 1.0, absorbed=False) * pairs(kind.mixer, tokens, causal=causal)
        for kind in shape.layers
    )
    return projection_flops(shape) * tokens + attention + head_flops(shape)


def pairs(mixer: Mixer, tokens: int, *, causal: bool) -> float:
    """How many tokens the tokens of a prompt see in all: s^2, about half with a causal mask, less with a window.

    A state-space layer looks at each token once.
    """
    if not isinstance(mixer, GroupedAttention | LatentAttention):
        return float(tokens)
    if not causal:
        return float(tokens) * tokens
    near = int(kept_tokens(mixer, tokens))
    return near * (near + 1) / 2 + (tokens - near) * near


@dataclass(frozen=True, slots=True)
class Crossings:
    """Prompt lengths at which attention's s^2 term equals its own projections, and all the rest of the layer.

    None where it never does: within a window it grows no further. For the usual layer of equal heads and an ungated block
    of four times the width, h heads of d: s = 2hd and 6hd without a mask.
    """

    projections: float | None
    all_else: float | None


def crossings(shape: ModelShape, *, causal: bool = True) -> Crossings | None:
    """Of the first layer that sees the whole context, or, where all have a window, the first that attends to other tokens;
    None for a model without one.
    """
    attending = [kind for kind in shape.layers if isinstance(kind.mixer, GroupedAttention | LatentAttention)]
    if not attending:
        return None
    kind = next((one for one in attending if getattr(one.mixer, "window", None) is None), attending[0])
    own = sum(mixer_parameters(kind.mixer, shape.hidden))
    part = kind.feed_forward
    chosen = part.chosen if isinstance(part, Experts) else None
    blocks, router = feed_forward_parameters(part, shape.hidden, experts=chosen)
    # Multiply-adds per token: `own` parameters against s times this.
    per_seen = _seen(kind.mixer, 1.0, absorbed=False) / 2
    share = 0.5 if causal else 1.0
    found = [elements / (per_seen * share) for elements in (own, own + blocks + router)]
    window = kind.mixer.window if isinstance(kind.mixer, GroupedAttention) else None
    if window is not None:  # from a prompt of some windows on, a token sees a whole one
        found = [at if at <= window else None for at in found]  # type: ignore[misc]
    return Crossings(found[0], found[1])


def _seen(mixer: Mixer, context: float, *, absorbed: bool) -> float:
    """FLOPs of one token in one layer over what it sees."""
    if isinstance(mixer, GroupedAttention):
        return 4.0 * mixer.query_width * kept_tokens(mixer, context)
    if isinstance(mixer, LatentAttention):
        score = (mixer.kv_rank if absorbed else mixer.nope_dim) + mixer.rope_dim
        value = mixer.kv_rank if absorbed else mixer.value_dim
        return 2.0 * mixer.heads * (score + value) * context
    return float(_SCAN_OPERATIONS * mixer.inner * mixer.state)
