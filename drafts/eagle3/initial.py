"""A head to begin with: as much of the target as fits, so that training starts from what the target's end already knows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from drafts.eagle3.model import Eagle3Head, HeadShape
from drafts.eagle3.vocabulary import DraftVocabulary


def shape_for(target_config: Any, *, vocabulary: int, features: int = 3) -> HeadShape:
    """A head of the target's own width."""
    heads = target_config.num_attention_heads
    return HeadShape(
        hidden=target_config.hidden_size,
        intermediate=target_config.intermediate_size,
        heads=heads,
        kv_heads=target_config.num_key_value_heads,
        head_size=getattr(target_config, "head_dim", None) or target_config.hidden_size // heads,
        vocabulary=vocabulary,
        features=features,
        rms_eps=target_config.rms_norm_eps,
        rope_theta=rope_theta(target_config),
    )


def rope_theta(config: Any) -> float:
    """Where transformers 5 keeps it, and where it was before."""
    parameters = getattr(config, "rope_parameters", None) or {}
    return float(parameters.get("rope_theta") or getattr(config, "rope_theta", None) or 10_000.0)


@torch.no_grad()
def initial_head(target: Any, shape: HeadShape, vocabulary: DraftVocabulary, *, seed: int) -> Eagle3Head:
    """Output rows, final norm, feed-forward block and attention of the target's last layer; of the features the last one
    passes through, a little noise beside it.
    """
    torch.manual_seed(seed)
    head = Eagle3Head(shape)
    last, norm = target.model.layers[-1], target.model.norm
    ids = torch.from_numpy(vocabulary.target_ids)
    _copy(head.lm_head.weight, target.get_output_embeddings().weight[ids])
    _copy(head.norm.weight, norm.weight)
    for name in ("gate_proj", "up_proj", "down_proj"):
        _copy(getattr(head.midlayer.mlp, name).weight, getattr(last.mlp, name).weight)
    _copy(head.midlayer.self_attn.o_proj.weight, last.self_attn.o_proj.weight)
    for name in ("q_proj", "k_proj", "v_proj"):
        # The feature's half is the target's own; the embedding's half begins at nothing.
        weight = getattr(head.midlayer.self_attn, name).weight
        weight[:, : shape.hidden].normal_(std=0.002)
        _copy(weight[:, shape.hidden :], getattr(last.self_attn, name).weight)
    for name, source in (
        ("hidden_norm", last.input_layernorm), ("input_layernorm", last.input_layernorm),
        ("post_attention_layernorm", last.post_attention_layernorm),
    ):  # fmt: skip
        _copy(getattr(head.midlayer, name).weight, source.weight)
    head.fc.weight.normal_(std=0.01 / shape.features**0.5)
    head.fc.weight[:, -shape.hidden :] += torch.eye(shape.hidden)
    return head


@torch.no_grad()
def random_head(target: Any, shape: HeadShape, vocabulary: DraftVocabulary, *, seed: int) -> Eagle3Head:
    """Random weights, norms of one: nothing of the target but the output rows, without which no logit means a token."""
    torch.manual_seed(seed)
    head = Eagle3Head(shape)
    for name, weight in head.named_parameters():
        if weight.dim() > 1:
            weight.normal_(std=0.02)
        elif "norm" in name:
            weight.fill_(1.0)
    _copy(head.lm_head.weight, target.get_output_embeddings().weight[torch.from_numpy(vocabulary.target_ids)])
    return head


def _copy(into: Tensor, source: Tensor) -> None:
    into.copy_(source.to(into.dtype))
