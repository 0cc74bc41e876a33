"""A training's target as it computes: its weights rounded to bfloat16, as they are served, in the type that is fast here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM


def load_target(directory: str | Path, device: str, dtype: torch.dtype) -> Any:
    """The model of a checkpoint, ready to be asked; on another machine or in another type it computes with the same weights."""
    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.bfloat16).to(device, dtype).eval()
