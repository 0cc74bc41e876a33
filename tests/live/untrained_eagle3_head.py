"""An EAGLE-3 head with random weights: the file layout of a trained one, and drafts that mean nothing.

What an exporter must write, in one place: tensor names carry no `model.` prefix, attention reads twice the
hidden size (embedding and hidden state side by side), and `d2t` holds offsets, so that draft id i stands for
target id `i + d2t[i]`. The embedding is left out: vLLM shares the target's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

DRAFT_VOCABULARY = 8192


def write_untrained_head(target: Path, head: Path, *, seed: int = 0) -> None:
    """Write `config.json` and `model.safetensors` of a head for the Llama checkpoint in `target`."""
    config = head_config(json.loads((target / "config.json").read_text(encoding="utf-8")))
    head.mkdir(parents=True, exist_ok=True)
    (head / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_file(head_tensors(config, np.random.default_rng(seed)), head / "model.safetensors")


def head_config(target: dict[str, Any]) -> dict[str, Any]:
    """The head's config.json: one layer in the target's own shape, three of its layers as input."""
    layers = target["num_hidden_layers"]
    same = (
        "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "head_dim",
        "vocab_size", "hidden_act", "rms_norm_eps", "max_position_embeddings", "bos_token_id", "eos_token_id",
    )  # fmt: skip
    return {key: target[key] for key in same} | {
        "architectures": ["LlamaForCausalLMEagle3"],
        "model_type": "llama",
        "num_hidden_layers": 1,
        "draft_vocab_size": min(DRAFT_VOCABULARY, target["vocab_size"]),
        "rope_theta": target.get("rope_theta") or target["rope_parameters"]["rope_theta"],
        "tie_word_embeddings": False,
        "attention_bias": False,
        "torch_dtype": "bfloat16",
        "eagle_config": {
            "use_aux_hidden_state": True,
            "eagle_aux_hidden_state_layer_ids": [2, layers // 2, layers - 3],
        },
    }


def head_tensors(config: dict[str, Any], random: np.random.Generator) -> dict[str, np.ndarray]:
    """Random, finite weights in float32 (vLLM casts them), and the draft vocabulary."""
    hidden, inner, drafted = (config[k] for k in ("hidden_size", "intermediate_size", "draft_vocab_size"))
    queries = config["num_attention_heads"] * config["head_dim"]
    keys = config["num_key_value_heads"] * config["head_dim"]
    shapes = {
        "fc": (hidden, 3 * hidden),
        "midlayer.self_attn.q_proj": (queries, 2 * hidden),
        "midlayer.self_attn.k_proj": (keys, 2 * hidden),
        "midlayer.self_attn.v_proj": (keys, 2 * hidden),
        "midlayer.self_attn.o_proj": (hidden, queries),
        "midlayer.mlp.gate_proj": (inner, hidden),
        "midlayer.mlp.up_proj": (inner, hidden),
        "midlayer.mlp.down_proj": (hidden, inner),
        "lm_head": (drafted, hidden),
    }
    norms = ("input_layernorm", "hidden_norm", "post_attention_layernorm")
    tensors = {
        f"{name}.weight": (random.standard_normal(shape) * 0.02).astype(np.float32)
        for name, shape in shapes.items()
    }
    tensors |= {f"midlayer.{name}.weight": np.ones(hidden, np.float32) for name in norms}
    tensors["norm.weight"] = np.ones(hidden, np.float32)
    chosen = np.sort(random.choice(config["vocab_size"], size=drafted, replace=False))
    tensors["d2t"] = (chosen - np.arange(drafted)).astype(np.int64)
    return tensors
