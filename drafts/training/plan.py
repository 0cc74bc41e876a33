"""What a training is asked for, what is trained, and what it knows of itself on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from drafts.training.batches import Batch
from drafts.training.schedule import Schedule


class Trainee(Protocol):
    """What the loop needs of a draft in training."""

    module: nn.Module

    def loss(self, batch: Batch, *, done: float, generator: torch.Generator) -> Tensor:
        """The mean loss of a batch; `done` is the share of the training that is done."""

    def matches(self, batch: Batch, k: int) -> Sequence[NDArray[np.bool_]]:
        """Of each example, (k, tokens): see `drafts.training.walk`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """How long and how. `epochs`: of all examples at most; `budget_s`: of the whole training, None for no limit.

    `patience`: looks at the held-out answers without a better one after which it ends. `held_out`: answers of a look.
    """

    schedule: Schedule
    epochs: float
    budget_s: float | None
    tokens_per_step: int
    looks: int = 12
    patience: int = 4
    held_out: int = 64
    k: int = 4
    seed: int = 1
    clip: float = 0.5
    weight_decay: float = 0.01
    keep_every_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Look:
    """One look at held-out answers."""

    step: int
    loss: float
    acceptance_length: float
    survival: tuple[float, ...]
    elapsed_s: float


@dataclass(slots=True)
class Progress:
    """What the loop knows of itself; it stands in the kept state."""

    step: int = 0
    steps: int | None = None
    elapsed_s: float = 0.0
    looks: list[dict[str, Any]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    best: float = 0.0
    best_step: int = 0
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Trained:
    """How a training ended. The trainee holds the best parameters that a look found."""

    steps: int
    elapsed_s: float
    looks: tuple[Look, ...]
    losses: tuple[float, ...]
    best_step: int
    reason: str
