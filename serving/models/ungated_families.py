"""Families of the GPT-2 line: plain attention, blocks of two matrices, norms with a bias; what each calls its settings.

Facts are those of the families' classes in transformers 5.19.
"""

from __future__ import annotations

from dataclasses import replace

from accounting.estimate.shape import FeedForward, GroupedAttention, LayerKind, ModelShape
from serving.models.config_fields import ConfigFields
from serving.models.layer_parts import attention, decoder, windows


def _layers(
    fields: ConfigFields, mixer: GroupedAttention, width: int, *, bias: bool, norms: int = 2
) -> list[LayerKind]:
    block = FeedForward(width=width, gated=False, bias=bias)
    return [LayerKind(count=fields.layers(), mixer=mixer, feed_forward=block, norms=norms)]


def gpt2(fields: ConfigFields) -> ModelShape:
    """GPT-2: learned positions, a block of four times the width unless n_inner says otherwise."""
    width = fields.optional("n_inner") or 4 * fields.count("hidden_size")
    mixer = attention(fields, qkv_bias=True, out_bias=True)
    positions = fields.count("max_position_embeddings")
    layers = _layers(fields, mixer, width, bias=True)
    return decoder(fields, layers, tied=True, positions=positions, norm_bias=True)


def opt(fields: ConfigFields) -> ModelShape:
    """OPT: two more rows of positions than positions; OPT-350m has narrower embeddings and no last norm."""
    bias = fields.flag("enable_bias", True)
    embedded = fields.optional("word_embed_proj_dim")
    mixer = attention(fields, qkv_bias=bias, out_bias=bias)
    norms = 2 if fields.flag("layer_norm_elementwise_affine", True) else 0
    last = fields.flag("do_layer_norm_before", True) and not fields.flag("_remove_final_layer_norm", False)
    return decoder(
        fields,
        _layers(fields, mixer, fields.count("ffn_dim"), bias=bias, norms=norms),
        tied=True,
        positions=fields.count("max_position_embeddings") + 2,
        norm_bias=True,
        final_norms=1 if last and norms else 0,
        embedding_width=None if embedded == fields.count("hidden_size") else embedded,
    )


def gpt_neox(fields: ConfigFields) -> ModelShape:
    """GPT-NeoX and Pythia: rotary positions, a head of its own."""
    bias = fields.flag("attention_bias", True)
    mixer = attention(fields, qkv_bias=bias, out_bias=bias)
    layers = _layers(fields, mixer, fields.count("intermediate_size"), bias=True)
    return decoder(fields, layers, tied=False, norm_bias=True)


def falcon(fields: ConfigFields) -> ModelShape:
    """Falcon: one key-value head, or groups in the new architecture; attention and block share a norm if parallel.

    Its checkpoints hold the head twice; vLLM and transformers use the embedding for it unless tie_word_embeddings is false.
    """
    grouped = fields.flag("new_decoder_architecture", False)
    bias = fields.flag("bias", False)
    one = fields.flag("multi_query", True) and not grouped
    kv_heads = 1 if one else fields.optional("num_kv_heads")
    mixer = attention(fields, qkv_bias=bias, out_bias=bias, kv_heads=kv_heads)
    parallel = fields.flag("parallel_attn", True)
    in_parallel = fields.count("num_ln_in_parallel_attn", 2 if grouped else 1)
    width = fields.optional("ffn_hidden_size") or 4 * fields.count("hidden_size")
    layers = _layers(fields, mixer, width, bias=bias, norms=in_parallel if parallel else 2)
    return decoder(fields, layers, tied=True, norm_bias=True)


def bloom(fields: ConfigFields) -> ModelShape:
    """BLOOM: positions by ALiBi, so no rows of their own, and a norm behind the embedding."""
    mixer = attention(fields, qkv_bias=True, out_bias=True)
    layers = _layers(fields, mixer, 4 * fields.count("hidden_size"), bias=True)
    return decoder(fields, layers, tied=True, norm_bias=True, final_norms=2)


def starcoder2(fields: ConfigFields) -> ModelShape:
    """StarCoder2: grouped attention in a window, biases everywhere."""
    bias = fields.flag("use_bias", True)
    mixer = attention(fields, qkv_bias=bias, out_bias=bias)
    block = FeedForward(width=fields.count("intermediate_size"), gated=False, bias=bias)
    window = fields.optional("sliding_window", least=0) or None
    layers = [
        LayerKind(count=1, mixer=replace(mixer, window=within), feed_forward=block)
        for within in windows(fields, fields.layers(), window, lambda _layer: True)
    ]
    return decoder(fields, layers, tied=True, norm_bias=True)
