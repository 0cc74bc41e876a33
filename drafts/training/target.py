"""A training's target as it computes: its weights rounded to bfloat16, as they are served, in the type that is fast here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM


def load_target(directory: str | Path, device: str, dtype: torch.dtype) -> Any:
    """The model of a checkpoint, ready to be asked; on another machine or in another type it computes with the same weights."""
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.bfloat16)
    return with_weights_in(model, dtype).to(device).eval()


def with_weights_in(model: Any, dtype: torch.dtype) -> Any:
    """The same model, its parameters in another type, and nothing else.

    `Module.to(dtype)` converts buffers too: the rotary embedding's frequencies, which every engine keeps in float32. Rounded to
    bfloat16 they turn a token at position 1,000 by whole radians too far.
    """
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    return model
