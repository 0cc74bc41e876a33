"""What a head says of a text, the target's states computed on the way: for a parity record, and for whoever checks one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from drafts.eagle3.model import Eagle3Head
from drafts.eagle3.teacher import Eagle3Teacher
from drafts.training.parity import Says


def head_says(head: Eagle3Head, target: Any, layers: Sequence[int], steps: int) -> Says:
    """Logits of so many unrolled steps; the head is computed in float32, on the target's device."""
    teacher, embedding = Eagle3Teacher(target, layers), target.get_input_embeddings()
    device = embedding.weight.device

    @torch.inference_mode()
    def says(tokens: Tensor) -> list[Tensor]:
        tokens = tokens.to(device)
        features = teacher.features(tokens)[None].float()
        states = head.unrolled(features, embedding(tokens).float(), steps)
        return [head.logits(state)[0] for state in states]

    return says
