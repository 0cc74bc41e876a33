"""Shapes of published models that the worked examples reckon with, from the papers and model cards named."""

from __future__ import annotations

from accounting.estimate.shape import (
    Experts,
    FeedForward,
    GroupedAttention,
    LayerKind,
    ModelShape,
    StateSpace,
)


def _decoder(
    name: str, *, layers: int, hidden: int, heads: int, kv_heads: int, width: int, vocabulary: int,
    window: int | None = None, experts: tuple[int, int] | None = None,
) -> ModelShape:  # fmt: skip
    block = FeedForward(width=width)
    part = block if experts is None else Experts(number=experts[0], chosen=experts[1], expert=block)
    attention = GroupedAttention(heads=heads, kv_heads=kv_heads, head_dim=hidden // heads, window=window)
    kind = LayerKind(count=layers, mixer=attention, feed_forward=part)
    return ModelShape(name=name, hidden=hidden, vocabulary=vocabulary, layers=(kind,))


#: Brown et al., arXiv 2005.14165, table 2.1; biases everywhere, learned positions, ungated blocks of four times the width.
GPT_3_175B = ModelShape(
    name="GPT-3-175B",
    hidden=12_288,
    vocabulary=50_257,
    positions=2_048,
    tied=True,
    norm_bias=True,
    layers=(
        LayerKind(
            count=96,
            mixer=GroupedAttention(heads=96, kv_heads=96, head_dim=128, qkv_bias=True, out_bias=True),
            feed_forward=FeedForward(width=49_152, gated=False, bias=True),
        ),
    ),
)
LLAMA_2_7B = _decoder(
    "Llama-2-7B", layers=32, hidden=4096, heads=32, kv_heads=32, width=11_008, vocabulary=32_000
)
LLAMA_3_8B = _decoder(
    "Llama-3-8B", layers=32, hidden=4096, heads=32, kv_heads=8, width=14_336, vocabulary=128_256
)
MISTRAL_7B = _decoder(
    "Mistral-7B", layers=32, hidden=4096, heads=32, kv_heads=8, width=14_336, vocabulary=32_000
)
MISTRAL_7B_WINDOW = _decoder(
    "Mistral-7B with its window", layers=32, hidden=4096, heads=32, kv_heads=8, width=14_336, vocabulary=32_000,
    window=4096,
)  # fmt: skip
MIXTRAL_8X7B = _decoder(
    "Mixtral-8x7B",
    layers=32,
    hidden=4096,
    heads=32,
    kv_heads=8,
    width=14_336,
    vocabulary=32_000,
    experts=(8, 2),
)

_JAMBA_ATTENTION = GroupedAttention(heads=32, kv_heads=8, head_dim=128)
_JAMBA_MAMBA = StateSpace(inner=8192, state=16, kernel=4, step_rank=256, inner_norms=256 + 2 * 16)
_JAMBA_BLOCK = FeedForward(width=14_336)
_JAMBA_EXPERTS = Experts(number=16, chosen=2, expert=_JAMBA_BLOCK)
#: Lieber et al., arXiv 2403.19887: of eight layers one attends (the fifth), every second one has experts.
JAMBA = ModelShape(
    name="Jamba-v0.1",
    hidden=4096,
    vocabulary=65_536,
    layers=(
        LayerKind(count=4, mixer=_JAMBA_ATTENTION, feed_forward=_JAMBA_BLOCK),
        LayerKind(count=12, mixer=_JAMBA_MAMBA, feed_forward=_JAMBA_BLOCK),
        LayerKind(count=16, mixer=_JAMBA_MAMBA, feed_forward=_JAMBA_EXPERTS),
    ),
)
