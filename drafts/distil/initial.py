"""A draft model to begin with: a small model of the same tokenizer, or some of the target's own layers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM


def small_model(directory: Path, *, target_vocabulary: int) -> Any:
    """The checkpoint in `directory`, float32, to be trained.

    Raises:
        ValueError: if its vocabulary is not as large as the target's, which vLLM refuses.
    """
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    if model.config.vocab_size != target_vocabulary:
        raise ValueError(
            f"{directory} has {model.config.vocab_size} tokens, the target {target_vocabulary}: a draft needs the same"
        )
    return model.train()


def cut_layers(target: Any, layers: Sequence[int]) -> Any:
    """A copy of the target with these of its layers, in this order, float32, to be trained.

    Raises:
        ValueError: for a layer that the target has not.
    """
    depth = target.config.num_hidden_layers
    if not layers or any(not 0 <= layer < depth for layer in layers):
        raise ValueError(f"layers {list(layers)} of a target with {depth}")
    config = copy.deepcopy(target.config)
    config.num_hidden_layers = len(layers)
    if getattr(config, "layer_types", None):
        config.layer_types = [target.config.layer_types[layer] for layer in layers]
    draft = type(target)(config)
    kept = {}
    for name, tensor in target.state_dict().items():
        prefix, _, behind = name.partition("layers.")
        if not behind:
            kept[name] = tensor
            continue
        number, _, rest = behind.partition(".")
        for new, old in enumerate(layers):
            if old == int(number):
                kept[f"{prefix}layers.{new}.{rest}"] = tensor
    draft.load_state_dict(kept)
    return draft.float().train()
