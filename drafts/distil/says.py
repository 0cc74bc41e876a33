"""What a draft model says of a text: for a parity record, and for whoever checks one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from drafts.training.parity import Says


def model_says(draft: Any) -> Says:
    """Logits behind each token; one step, as a draft model's further steps are the same pass over a longer text."""

    @torch.inference_mode()
    def says(tokens: Tensor) -> list[Tensor]:
        return [draft(tokens.to(draft.device), use_cache=False).logits[0]]

    return says
