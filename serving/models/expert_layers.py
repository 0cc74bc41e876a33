"""Which layers of a gated family hold one block and which hold experts, by the keys of each family."""

from __future__ import annotations

from accounting.estimate.shape import Experts, FeedForward
from serving.models.config_fields import ConfigFields
from serving.models.layer_parts import Block, experts, mixed_blocks

#: What families call the number of experts.
NUMBERS = ("num_experts", "n_routed_experts", "moe_num_experts")


def dense(fields: ConfigFields, layers: int) -> list[Block]:
    """One block everywhere."""
    block = FeedForward(width=fields.count("intermediate_size"), bias=fields.flag("mlp_bias", False))
    return [block] * layers


def mixtral(fields: ConfigFields, layers: int) -> list[Block]:
    """Experts everywhere, as wide as intermediate_size says (Granite-MoE too)."""
    mixture = experts(fields, number="num_local_experts", width=fields.count("intermediate_size"))
    return [mixture] * layers


def olmoe(fields: ConfigFields, layers: int) -> list[Block]:
    """The same under the name num_experts."""
    mixture = experts(fields, number="num_experts", width=fields.count("intermediate_size"))
    return [mixture] * layers


def gpt_oss(fields: ConfigFields, layers: int) -> list[Block]:
    """The same with biases in the experts and in the router."""
    width = fields.count("intermediate_size")
    mixture = experts(fields, number="num_local_experts", width=width, bias=True, router_bias=True)
    return [mixture] * layers


def qwen3_moe(fields: ConfigFields, layers: int) -> list[Block]:
    """Experts in every `decoder_sparse_step`-th layer, but for those that mlp_only_layers names."""
    return _qwen(fields, layers, experts(fields, number="num_experts", width=_expert_width(fields)))


def qwen2_moe(fields: ConfigFields, layers: int) -> list[Block]:
    """The same beside a shared block with a gate of its own."""
    shared = fields.optional("shared_expert_intermediate_size", least=0)
    mixture = experts(
        fields, number="num_experts", width=_expert_width(fields), shared=shared, shared_gate=True
    )
    return _qwen(fields, layers, mixture)


def llama4(fields: ConfigFields, layers: int) -> list[Block]:
    """Experts and a shared block of their width; between them, in Maverick, wider plain blocks."""
    width = fields.count("intermediate_size")
    mixture = experts(fields, number="num_local_experts", width=width, shared=width)
    step = fields.count("interleave_moe_layer_step", 1)
    named = fields.listed("moe_layers", int)
    sparse = set(range(step - 1, layers, step)) if named is None else set(named)
    return mixed_blocks(fields, layers, mixture, sparse.__contains__, dense="intermediate_size_mlp")


def deepseek(fields: ConfigFields, layers: int, *, router_bias: bool, first_dense: int) -> list[Block]:
    """Plain blocks first, then experts beside shared ones; n_routed_experts may be null (no experts at all)."""
    if fields.raw("n_routed_experts") is None:
        return dense(fields, layers)
    width = _expert_width(fields)
    shared = width * (fields.optional("n_shared_experts", least=0) or 0)
    mixture = experts(fields, number="n_routed_experts", width=width, shared=shared, router_bias=router_bias)
    first = fields.count("first_k_dense_replace", first_dense, least=0)
    every = fields.count("moe_layer_freq", 1)
    return mixed_blocks(
        fields, layers, mixture, lambda layer: layer >= first and not layer % every, dense="intermediate_size"
    )


def any_family(fields: ConfigFields, layers: int) -> list[Block]:
    """Of a family that is not known: experts where one of the usual keys numbers them."""
    number = next((key for key in NUMBERS if (fields.optional(key, least=0) or 0) > 1), None)
    if number is None:
        return dense(fields, layers)
    width = fields.optional("moe_intermediate_size") or fields.count("intermediate_size")
    shared = fields.optional("shared_expert_intermediate_size", least=0)
    if shared is None:
        shared = width * (fields.optional("n_shared_experts", least=0) or 0)
    mixture = experts(fields, number=number, width=width, shared=shared)
    first = fields.count("first_k_dense_replace", 0, least=0)
    return mixed_blocks(fields, layers, mixture, lambda layer: layer >= first, dense="intermediate_size")


def _qwen(fields: ConfigFields, layers: int, mixture: Experts) -> list[Block]:
    step = fields.count("decoder_sparse_step", 1)
    plain = set(fields.listed("mlp_only_layers", int) or ())
    return mixed_blocks(
        fields,
        layers,
        mixture,
        lambda layer: layer not in plain and not (layer + 1) % step,
        dense="intermediate_size",
    )


def _expert_width(fields: ConfigFields) -> int:
    return fields.count("moe_intermediate_size")
