"""What layers of most families are made of: attention, its windows, experts; and equal layers counted together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Literal

from accounting.estimate.shape import Experts, FeedForward, GroupedAttention, LayerKind, ModelShape
from serving.models.config_fields import ConfigFields

Block = FeedForward | Experts

#: What `layer_types` may say of a layer that attends; `chunked` sees back to the start of its chunk only.
_FULL, _NEAR = "full_attention", ("sliding_attention", "chunked_attention")


def attention(
    fields: ConfigFields,
    *,
    qkv_bias: bool = False,
    out_bias: bool = False,
    qk_norm: Literal["none", "head", "width"] = "none",
    kv_heads: int | None = None,
) -> GroupedAttention:
    """Attention by the usual keys. `qk_norm`: one scale for every head, or one as wide as all queries (keys).

    What cannot be is noted in `fields`, so that the settings read after it are looked at as well.
    """
    heads = fields.count("num_attention_heads")
    kv_heads = kv_heads or fields.count("num_key_value_heads", heads)
    head_dim = fields.count("head_dim", fields.count("hidden_size") // heads)
    norms = {"none": 0, "head": 2 * head_dim, "width": (heads + kv_heads) * head_dim}
    try:
        return GroupedAttention(
            heads=heads, kv_heads=kv_heads, head_dim=head_dim,
            qkv_bias=qkv_bias, out_bias=out_bias, qk_norm=norms[qk_norm],
        )  # fmt: skip
    except ValueError as error:
        if fields.sound:  # else it may follow from what is missing
            fields.reject(str(error))
        return GroupedAttention(heads=1, kv_heads=1, head_dim=1)


def windows(
    fields: ConfigFields, layers: int, window: int | None, slides: Callable[[int], bool]
) -> list[int | None]:
    """The window of each layer: as `layer_types` says, else as the family does (`slides`)."""
    kinds = fields.listed("layer_types", str)
    if kinds is None:
        return [window if slides(layer) else None for layer in range(layers)]
    if len(kinds) != layers and fields.sound:
        fields.reject(f"layer_types names {len(kinds)} layers where num_hidden_layers is {layers}")
    for kind in sorted(set(kinds) - {_FULL, *_NEAR}):
        fields.reject(f"layer_types holds {kind!r} where {', '.join((_FULL, *_NEAR))} are read")
    return [window if kind in _NEAR else None for kind in kinds]


def experts(
    fields: ConfigFields,
    *,
    number: str,
    width: int,
    shared: int | None = None,
    bias: bool = False,
    router_bias: bool = False,
    shared_gate: bool = False,
) -> Experts:
    """A mixture whose size is the setting `number`; `width` of an expert, `shared` of the block for every token."""
    there, chosen = fields.count(number), fields.count("num_experts_per_tok")
    if chosen > there and fields.sound:
        least, most = fields.called("num_experts_per_tok"), fields.called(number)
        fields.reject(f"{least} is {chosen} where {most} is {there}")
    return Experts(
        number=there,
        chosen=min(chosen, there),
        expert=FeedForward(width=width, bias=bias),
        shared=FeedForward(width=shared) if shared else None,
        router_bias=router_bias,
        shared_gate=shared_gate and bool(shared),
    )


def mixed_blocks(
    fields: ConfigFields, layers: int, sparse: Experts, is_sparse: Callable[[int], bool], *, dense: str
) -> list[Block]:
    """Experts in some layers, in the others one block of the width that the setting `dense` gives."""
    which = [is_sparse(layer) for layer in range(layers)]
    plain: Block = sparse if all(which) else FeedForward(width=fields.count(dense))
    return [sparse if here else plain for here in which]


def decoder(
    fields: ConfigFields,
    layers: Iterable[LayerKind],
    *,
    tied: bool,
    positions: int = 0,
    norm_bias: bool = False,
    final_norms: int = 1,
    embedding_width: int | None = None,
) -> ModelShape:
    """The whole model around its layers. `tied`: what the family does if tie_word_embeddings is not given."""
    counted = Counter(layers)
    return ModelShape(
        name=fields.facts.name,
        hidden=fields.count("hidden_size"),
        vocabulary=fields.count("vocab_size"),
        layers=tuple(replace(kind, count=kind.count * times) for kind, times in counted.items()),
        tied=fields.flag("tie_word_embeddings", tied),
        positions=positions,
        norm_bias=norm_bias,
        final_norms=final_norms,
        embedding_width=embedding_width,
        max_context=fields.optional("max_position_embeddings"),
    )
