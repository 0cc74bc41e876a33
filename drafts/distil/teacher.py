"""What a draft learns from its target: of each next token the target's likeliest ones, and how likely they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from drafts.training.teacher_store import Column

#: Of the target's tokens at each place; what lies beyond counts as one.
LIKELIEST = 32


def columns(likeliest: int = LIKELIEST) -> dict[str, Column]:
    """What is kept of each token."""
    return {"ids": Column(likeliest, "int32"), "log_p": Column(likeliest, "float32")}


@dataclass(frozen=True, slots=True)
class DistilTeacher:
    """A target in evaluation."""

    target: Any
    likeliest: int = LIKELIEST

    @torch.inference_mode()
    def said_of(self, tokens: Tensor) -> dict[str, Tensor]:
        """Rows of one text, tokens (1, length): row i is of the token behind token i."""
        log_p = self.target(tokens, use_cache=False).logits[0].float().log_softmax(dim=-1)
        best, ids = log_p.topk(self.likeliest, dim=-1)
        return {"ids": ids.to(torch.int32), "log_p": best}
