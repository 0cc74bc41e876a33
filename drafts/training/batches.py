"""Which examples make which batch, from a seed: the same whether a training was interrupted or not.

Every epoch has another order. Examples of like length share a batch, so that little is padded, without the batches being
sorted by length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drafts.training.examples import Example

#: Batches whose examples are sorted together.
_POOL = 32


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples padded to one length. `numbers`: of the examples in their file.

    `tokens`: (examples, length), zeros behind an example's end. `learned`: the same shape, true where the token is an answer's.
    """

    numbers: tuple[int, ...]
    tokens: Tensor
    learned: Tensor


def epoch_batches(
    lengths: NDArray[np.int64], *, tokens: int, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Numbers of the examples of each batch of an epoch, each example once.

    Args:
        tokens: of a batch, padding included; an example that is longer is a batch of its own.
    """
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(lengths))
    mean = max(1, int(lengths.mean()))
    pool = max(1, _POOL * tokens // mean)
    batches = []
    for start in range(0, len(order), pool):
        part = order[start : start + pool]
        batches += _filled(part[np.argsort(lengths[part], kind="stable")], lengths, tokens)
    return [batches[i] for i in rng.permutation(len(batches))]


def _filled(numbers: NDArray[np.int64], lengths: NDArray[np.int64], tokens: int) -> list[NDArray[np.int64]]:
    """Rising lengths in groups whose longest times their number stays within `tokens`."""
    groups, start = [], 0
    for end in range(1, len(numbers) + 1):
        if end == len(numbers) or lengths[numbers[end]] * (end + 1 - start) > tokens:
            groups.append(numbers[start:end])
            start = end
    return groups


def padded(numbers: Sequence[int], examples: Sequence[Example], device: str = "cpu") -> Batch:
    """The examples side by side."""
    longest = max(len(example.tokens) for example in examples)
    tokens = torch.zeros(len(examples), longest, dtype=torch.long)
    learned = torch.zeros(len(examples), longest, dtype=torch.bool)
    for row, example in enumerate(examples):
        tokens[row, : len(example.tokens)] = torch.from_numpy(example.tokens)
        learned[row, example.answer_from : len(example.tokens)] = True
    return Batch(tuple(map(int, numbers)), tokens.to(device), learned.to(device))
