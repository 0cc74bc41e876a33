"""Families whose layers keep no plain keys and values: DeepSeek's compressed vectors, Mamba's states, Jamba's mixture.

Facts are those of the families' classes in transformers 5.19 and vLLM 0.32.
"""

from __future__ import annotations

from functools import partial

from accounting.estimate.shape import LatentAttention, LayerKind, ModelShape, StateSpace
from serving.models import expert_layers
from serving.models.config_fields import ConfigFields
from serving.models.layer_parts import Block, attention, decoder, experts, mixed_blocks


def deepseek_v2(fields: ConfigFields) -> ModelShape:
    """DeepSeek-V2: latent attention, the first blocks plain. Biases (attention_bias) would be next to nothing: left out."""
    corrected = fields.raw("topk_method") == "noaux_tc"
    return _deepseek(fields, partial(expert_layers.deepseek, router_bias=corrected, first_dense=0))


def deepseek_v3(fields: ConfigFields) -> ModelShape:
    """DeepSeek-V3: the same with a correction of the router's scores, a number per expert."""
    corrected = fields.raw("topk_method") in (None, "noaux_tc")
    return _deepseek(fields, partial(expert_layers.deepseek, router_bias=corrected, first_dense=3))


def _deepseek(fields: ConfigFields, blocks: partial[list[Block]]) -> ModelShape:
    mixer = LatentAttention(
        heads=fields.count("num_attention_heads"),
        query_rank=fields.optional("q_lora_rank"),
        kv_rank=fields.count("kv_lora_rank"),
        nope_dim=fields.count("qk_nope_head_dim"),
        rope_dim=fields.count("qk_rope_head_dim"),
        value_dim=fields.count("v_head_dim"),
    )
    layers = [
        LayerKind(count=1, mixer=mixer, feed_forward=block) for block in blocks(fields, fields.layers())
    ]
    return decoder(fields, layers, tied=False)


def mamba(fields: ConfigFields) -> ModelShape:
    """Mamba 1: one norm and one mixer a layer, no block after it."""
    hidden, layers = fields.count("hidden_size"), fields.layers()
    mixer = StateSpace(
        inner=fields.optional("intermediate_size") or fields.count("expand", 2) * hidden,
        state=fields.count("state_size"),
        kernel=fields.count("conv_kernel", 4),
        step_rank=_step_rank(fields, "time_step_rank", hidden),
        projection_bias=fields.flag("use_bias", False),
        kernel_bias=fields.flag("use_conv_bias", True),
    )
    return decoder(fields, [LayerKind(count=layers, mixer=mixer, feed_forward=None, norms=1)], tied=True)


def jamba(fields: ConfigFields) -> ModelShape:
    """Jamba: attention in every attn_layer_period-th layer, Mamba in the others, experts in every second one."""
    hidden, layers = fields.count("hidden_size"), fields.layers()
    state, rank = fields.count("mamba_d_state", 16), _step_rank(fields, "mamba_dt_rank", hidden)
    scan = StateSpace(
        inner=fields.count("mamba_expand", 2) * hidden,
        state=state,
        kernel=fields.count("mamba_d_conv", 4),
        step_rank=rank,
        projection_bias=fields.flag("mamba_proj_bias", False),
        kernel_bias=fields.flag("mamba_conv_bias", True),
        inner_norms=rank + 2 * state,
    )
    attends = attention(fields)
    period, offset = fields.count("attn_layer_period"), fields.count("attn_layer_offset", least=0)
    kinds = [
        LayerKind(count=1, mixer=attends if layer % period == offset else scan, feed_forward=block)
        for layer, block in enumerate(_jamba_blocks(fields, layers))
    ]
    return decoder(fields, kinds, tied=False)


def _jamba_blocks(fields: ConfigFields, layers: int) -> list[Block]:
    """With one expert there is no mixture."""
    if fields.raw("num_experts") == 1:
        return expert_layers.dense(fields, layers)
    period, offset = fields.count("expert_layer_period"), fields.count("expert_layer_offset", least=0)
    mixture = experts(fields, number="num_experts", width=fields.count("intermediate_size"))
    return mixed_blocks(
        fields, layers, mixture, lambda layer: layer % period == offset, dense="intermediate_size"
    )


def _step_rank(fields: ConfigFields, name: str, hidden: int) -> int:
    """The rank of the time step; `auto` is a sixteenth of the width, rounded up."""
    if fields.raw(name) in (None, "auto"):
        return -(-hidden // 16)
    return fields.count(name)
