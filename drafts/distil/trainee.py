"""A draft model in training: its next tokens against the target's, on answers only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from drafts.training.batches import Batch
from drafts.training.device import fast_matrices
from drafts.training.objective import Objective, loss_rows
from drafts.training.teacher_store import TeacherStore
from drafts.training.walk import chain_matches


@dataclass(frozen=True, slots=True, kw_only=True)
class DistilTraining:
    """From the share `hybrid_from` of the training on the loss is `late`, before it `early`."""

    early: Objective = Objective.KL
    late: Objective = Objective.LK_HYBRID
    hybrid_from: float = 2 / 3


class DistilTrainee:
    """The loop's view of a draft model."""

    def __init__(self, draft: Any, *, trained: TeacherStore, how: DistilTraining) -> None:
        """`trained` holds what the target said of the examples that `loss` gets."""
        self.module: nn.Module = draft
        self._trained, self.how = trained, how

    def loss(self, batch: Batch, *, done: float, generator: torch.Generator) -> Tensor:
        """Mean over answer tokens."""
        del generator  # nothing here is random
        device = batch.tokens.device
        text, place = batch.learned[:, 1:].nonzero(as_tuple=True)
        with fast_matrices(device.type):
            states = self.module.model(batch.tokens, use_cache=False).last_hidden_state
            logits = self.module.lm_head(states[text, place])
        length = batch.tokens.shape[1]
        ids = self._trained.padded(batch.numbers, "ids", length).to(device)[text, place].long()
        log_p = self._trained.padded(batch.numbers, "log_p", length).to(device)[text, place]
        log_q = logits.float().log_softmax(dim=-1).gather(-1, ids)
        objective = self.how.late if done >= self.how.hybrid_from else self.how.early
        return loss_rows(objective, _with_rest(log_p).exp(), _with_rest(log_q)).mean()

    @torch.inference_mode()
    def matches(self, batch: Batch, k: int) -> Sequence[NDArray[np.bool_]]:
        """Where each chain's drafts are the text's own tokens."""
        return draft_matches(self.module, batch.tokens, k)


def draft_matches(draft: nn.Module, tokens: Tensor, k: int) -> list[NDArray[np.bool_]]:
    """Where the drafts of every chain are the text's own tokens, (k, tokens) of each text; tokens are (texts, positions)."""
    said = draft(tokens, use_cache=False).logits[:, :-1].argmax(dim=-1)
    agrees = (said == tokens[:, 1:]).cpu().numpy()
    none_before = np.zeros((len(agrees), 1), dtype=bool)
    return [chain_matches(row, k) for row in np.concatenate([none_before, agrees], axis=1)]


def _with_rest(log_p: Tensor) -> Tensor:
    """Log-probabilities of some tokens, (rows, some), and behind them that of all others together."""
    rest = (1.0 - log_p.exp().sum(dim=-1, keepdim=True)).clamp_min(1e-6).log()
    return torch.cat([log_p, rest], dim=-1)
