"""What a draft is trained for: to put its probability where the target puts its own.

p is the target's distribution, q the draft's, alpha = sum of min(p, q) their overlap, which is the chance that a drafted token
is accepted (Leviathan et al., arXiv 2211.17192). KL from p to q teaches a cold start; the total variation 1 - alpha is what
acceptance itself loses, with no gradient where they hardly overlap. The hybrid goes from the one to the other as they meet:
lambda KL + (1 - lambda) TV with lambda = exp(-3 alpha) (arXiv 2602.23881).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import torch
from torch import Tensor

#: How fast the hybrid leaves KL (arXiv 2602.23881, section 4.4).
ETA = 3.0


class Objective(StrEnum):
    """The losses by the names that speculators gives them."""

    KL = "kl"
    TV = "tv"
    NLA = "nla"
    LK_HYBRID = "lk_hybrid"
    CE = "ce"


def loss_rows(objective: Objective, target: Tensor, draft_logits: Tensor) -> Tensor:
    """The loss of each row.

    Args:
        target: p over the draft's vocabulary, (rows, vocabulary). It sums to less than one where the target likes tokens
            that the draft has not; KL and CE take it renormalised, as they tell no draft what it cannot say.
        draft_logits: of q, the same shape.
    """
    return _LOSSES[objective](target.float(), draft_logits.float().log_softmax(dim=-1))


def _kl(p: Tensor, log_q: Tensor) -> Tensor:
    p = p / p.sum(dim=-1, keepdim=True).clamp_min(1e-9)
    return (torch.xlogy(p, p) - p * log_q).sum(dim=-1)


def _overlap(p: Tensor, log_q: Tensor) -> Tensor:
    return torch.minimum(p, log_q.exp()).sum(dim=-1)


def _tv(p: Tensor, log_q: Tensor) -> Tensor:
    return 1.0 - _overlap(p, log_q)


def _nla(p: Tensor, log_q: Tensor) -> Tensor:
    return -_overlap(p, log_q).clamp_min(1e-6).log()


def _lk_hybrid(p: Tensor, log_q: Tensor) -> Tensor:
    tv = _tv(p, log_q)
    weight = (-ETA * (1.0 - tv.detach())).exp()
    return weight * _kl(p, log_q) + (1.0 - weight) * tv


def _ce(p: Tensor, log_q: Tensor) -> Tensor:
    return -log_q.gather(-1, p.argmax(dim=-1, keepdim=True))[..., 0]


_LOSSES: dict[Objective, Callable[[Tensor, Tensor], Tensor]] = {
    Objective.KL: _kl,
    Objective.TV: _tv,
    Objective.NLA: _nla,
    Objective.LK_HYBRID: _lk_hybrid,
    Objective.CE: _ce,
}
