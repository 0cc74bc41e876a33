"""A head as vLLM loads it: its plain layout, or that of speculators. Both are one config.json and one safetensors file.

vLLM 0.32 does not notice a tensor that is missing, and takes `norm_before_residual` for true where the speculators layout
does not say and for false in the plain one: both are written out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from drafts.eagle3.model import Eagle3Head, HeadShape
from drafts.eagle3.vocabulary import DraftVocabulary


class Layout(StrEnum):
    """Of a head's directory."""

    PLAIN = "plain"
    SPECULATORS = "speculators"


def export_head(
    head: Eagle3Head,
    vocabulary: DraftVocabulary,
    target_config: Any,
    layers: Sequence[int],
    directory: Path,
    *,
    layout: Layout = Layout.PLAIN,
    verifier: str = "",
) -> None:
    """Write config.json and model.safetensors into `directory`.

    Args:
        layers: of the target, behind which the features were taken.
        verifier: the target's name, for the speculators layout, whose server starts it from there.
    """
    directory.mkdir(parents=True, exist_ok=True)
    target = target_config.to_dict()
    config = _plain(head.shape, target, layers)
    if layout is Layout.SPECULATORS:
        config = _speculators(head.shape, target, layers, verifier)
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_file(
        tensors_of(head, vocabulary, target["vocab_size"], layout),
        directory / "model.safetensors",
        metadata={"format": "pt"},
    )


def tensors_of(
    head: Eagle3Head, vocabulary: DraftVocabulary, target_vocabulary: int, layout: Layout
) -> dict[str, Tensor]:
    """Every tensor under the name of the layout, bfloat16."""
    own = {
        name: tensor.detach().to(torch.bfloat16).contiguous() for name, tensor in head.state_dict().items()
    }
    if layout is Layout.SPECULATORS:
        own = {name.replace("midlayer.", "layers.0."): tensor for name, tensor in own.items()}
    own["d2t"] = torch.from_numpy(vocabulary.offsets.astype(np.int64))
    own["t2d"] = torch.from_numpy(vocabulary.membership(target_vocabulary))
    return own


def _layer(shape: HeadShape, target: dict[str, Any]) -> dict[str, Any]:
    return {
        "model_type": "llama",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": 1,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_size,
        "vocab_size": target["vocab_size"],
        "hidden_act": "silu",
        "rms_norm_eps": shape.rms_eps,
        "rope_theta": shape.rope_theta,
        "max_position_embeddings": target["max_position_embeddings"],
        "tie_word_embeddings": False,
        "attention_bias": False,
        "bos_token_id": target.get("bos_token_id"),
        "eos_token_id": target.get("eos_token_id"),
        "torch_dtype": "bfloat16",
        "num_aux_hidden_states": shape.features,  # vLLM takes three where it is not said
    }


def _plain(shape: HeadShape, target: dict[str, Any], layers: Sequence[int]) -> dict[str, Any]:
    return _layer(shape, target) | {
        "architectures": ["LlamaForCausalLMEagle3"],
        "draft_vocab_size": shape.vocabulary,
        "norm_before_residual": False,
        # Where vLLM's second runner looks for them; its first one looks below.
        "eagle_aux_hidden_state_layer_ids": list(layers),
        "eagle_config": {
            "use_aux_hidden_state": True,
            "eagle_aux_hidden_state_layer_ids": list(layers),
        },
    }


def _speculators(
    shape: HeadShape, target: dict[str, Any], layers: Sequence[int], verifier: str
) -> dict[str, Any]:
    return {
        "architectures": ["Eagle3Speculator"],
        "speculators_model_type": "eagle3",
        "transformer_layer_config": _layer(shape, target),
        "draft_vocab_size": shape.vocabulary,
        "eagle_aux_hidden_state_layer_ids": list(layers),
        "norm_before_residual": False,
        "speculators_config": {
            "algorithm": "eagle3",
            "default_proposal_method": "greedy",
            "proposal_methods": [{"proposal_type": "greedy", "speculative_tokens": 3}],
            "verifier": {"name_or_path": verifier, "architectures": target.get("architectures")},
        },
    }
