"""A head in training: unrolled steps against the target's own distribution, on answers only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from drafts.eagle3.model import Eagle3Head
from drafts.eagle3.vocabulary import DraftVocabulary
from drafts.training.batches import Batch
from drafts.training.device import fast_matrices
from drafts.training.objective import Objective, loss_rows
from drafts.training.teacher_store import TeacherStore

#: Places in a batch: numbers of texts, and of rows in them.
Rows = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadTraining:
    """`steps`: unrolled ones; each counts `decay` of the one before. From the share `hybrid_from` of the training on the loss is
    `late`, before it `early`. `noise`: standard deviation of what is added to features, in units of their own.
    """

    steps: int = 3
    decay: float = 0.8
    early: Objective = Objective.KL
    late: Objective = Objective.LK_HYBRID
    hybrid_from: float = 2 / 3
    noise: float = 0.05


class HeadTrainee:
    """The loop's view of a head."""

    def __init__(
        self,
        head: Eagle3Head,
        target: Any,
        vocabulary: DraftVocabulary,
        *,
        trained: TeacherStore,
        held_out: TeacherStore,
        how: HeadTraining,
    ) -> None:
        """`target` gives embedding and output rows; `trained` holds what it said of the examples that `loss` gets, `held_out`
        of those that `matches` gets.
        """
        self.module: nn.Module = head
        self.head, self.how, self.vocabulary = head, how, vocabulary
        self._embedding = target.get_input_embeddings()
        ids = torch.from_numpy(vocabulary.target_ids)
        self._rows = target.get_output_embeddings().weight.detach()[ids]
        self._ids = ids
        self._trained, self._held_out = trained, held_out

    def loss(self, batch: Batch, *, done: float, generator: torch.Generator) -> Tensor:
        """Mean over the unrolled steps, weighted, of the mean over answer tokens."""
        store = self._trained
        length = batch.tokens.shape[1]
        device = batch.tokens.device
        features = store.padded(batch.numbers, "features", length).to(device).float()
        if self.how.noise:
            scale = features.std(dim=-1, keepdim=True) * self.how.noise
            features = features + scale * torch.randn(features.shape, generator=generator, device=device)
        objective = self.how.late if done >= self.how.hybrid_from else self.how.early
        with fast_matrices(device.type):
            states = self.head.unrolled(features, self._embedded(batch.tokens), self.how.steps)
        total, weights = torch.zeros((), device=device), 0.0
        for step, state in enumerate(states):
            picked, rows = self._learned(batch, step)
            if not len(rows[0]):
                continue
            weight = self.how.decay**step
            with fast_matrices(device.type):
                logits = self.head.logits(state[picked])
            total = total + weight * loss_rows(objective, self._target_p(store, batch, rows), logits).mean()
            weights += weight
        return total / max(weights, 1e-9)

    @torch.inference_mode()
    def matches(self, batch: Batch, k: int) -> Sequence[NDArray[np.bool_]]:
        """Where each chain's drafts are the text's own tokens."""
        tokens = batch.tokens
        features = self._held_out.padded(batch.numbers, "features", tokens.shape[1]).to(tokens.device)
        features = features.to(self.head.fc.weight.dtype)
        return head_matches(
            self.head, features, self._embedded(tokens), tokens, self._ids.to(tokens.device), k
        )

    def _embedded(self, tokens: Tensor) -> Tensor:
        with torch.no_grad():
            return self._embedding(tokens).to(self.head.fc.weight.dtype)

    def _learned(self, batch: Batch, step: int) -> tuple[Rows, Rows]:
        """Rows of a step's states that predict answer tokens, and the places whose target state predicts the same."""
        ahead = 2 + step
        text, slot = batch.learned[:, ahead:].nonzero(as_tuple=True)
        return (text, slot), (text, slot + ahead - 1)

    def _target_p(self, store: TeacherStore, batch: Batch, rows: Rows) -> Tensor:
        """The target's probabilities of the draft's tokens, (rows, vocabulary), from its last state before each token."""
        length, device = batch.tokens.shape[1], batch.tokens.device
        last = store.padded(batch.numbers, "last", length).to(device)[rows]
        log_sum = store.padded(batch.numbers, "log_sum", length).to(device)[rows]
        logits = (last.to(self._rows.dtype) @ self._rows.to(device).T).float()
        return (logits - log_sum).exp()


def head_matches(
    head: Eagle3Head, features: Tensor, embedded: Tensor, tokens: Tensor, ids: Tensor, k: int
) -> list[NDArray[np.bool_]]:
    """Where the drafts of every chain are the text's own tokens, (k, tokens) of each text.

    Args:
        features, embedded: as `Eagle3Head.unrolled` takes them.
        tokens: (texts, positions).
        ids: of the draft's tokens in the target's numbers.
    """
    said = [ids[head.logits(state).argmax(dim=-1)] for state in head.unrolled(features, embedded, k)]
    length, found = tokens.shape[1], []
    for row in range(len(tokens)):
        own = np.zeros((k, length), dtype=bool)
        for step, drafted in enumerate(said):
            # Row i of step j stands in for token i + 2 + j; `own[j, n]` is of the chain whose first draft is token n.
            agrees = (drafted[row, : length - 2 - step] == tokens[row, 2 + step :]).cpu().numpy()
            own[step, 2 : length - step] = agrees
        found.append(own)
    return found
