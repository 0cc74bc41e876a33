"""The document of one measured quality: score, perplexity, intervals, failures, and what each item came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from accounting.likelihood import TextLikelihood, mean_nats
from accounting.shares import wilson_interval
from workbench.quality.items import QualityItem
from workbench.quality.journal import ItemOutcome

FORMAT = 1
_MOST_REASONS = 5

Document = dict[str, Any]


def summarised(items: Sequence[QualityItem], outcomes: dict[str, ItemOutcome]) -> Document:
    """What the outcomes of these items come to. Failures stay in the score's denominator."""
    rows = [outcomes[item.item_id] for item in items]
    right = sum(row.right for row in rows)
    low, high = wilson_interval(right, len(rows))
    failures = Counter(row.failure for row in rows if row.failure)
    return {
        "items": len(rows),
        "right": right,
        "failures": sum(failures.values()),
        "failure_reasons": dict(failures.most_common(_MOST_REASONS)),
        "cut_off": sum(row.cut_off for row in rows),
        "empty": sum(not row.failure and not row.answer.strip() for row in rows),
        "score": {"value": right / len(rows), "interval": [low, high]},
        "perplexity": _perplexity(rows),
        "rows": [_row(row) for row in rows],
    }


def _perplexity(rows: Sequence[ItemOutcome]) -> Document:
    """Perplexity of the reference answers, or why there is none."""
    texts = likelihoods(rows)
    reasons = Counter(row.likelihood_reason for row in rows if row.likelihood_reason)
    why = "; ".join(f"{reason} ({count} items)" for reason, count in reasons.most_common(_MOST_REASONS))
    if not texts:
        missing = dict.fromkeys(("value", "interval", "nats_per_token", "nats_interval"))
        return {
            **missing,
            "items": 0,
            "tokens": 0,
            "reason": f"not measured, because {why or 'no item was asked'}",
        }
    mean = mean_nats(texts)
    return {
        "value": mean.exponential,
        "interval": mean.exponential_interval,
        "nats_per_token": mean.nats_per_token,
        "nats_interval": mean.interval,
        "items": mean.items,
        "tokens": mean.tokens,
        "reason": f"left out: {why}" if why else "",
    }


def likelihoods(rows: Sequence[ItemOutcome]) -> list[TextLikelihood]:
    """The likelihoods that were measured."""
    return [
        TextLikelihood(row.nats, row.tokens)
        for row in rows
        if row.nats is not None and row.tokens is not None
    ]


def _row(outcome: ItemOutcome) -> Document:
    """What a paired comparison needs; answers stay in the journal."""
    return {
        "item": outcome.item_id,
        "right": outcome.right,
        "failed": bool(outcome.failure),
        "nats": outcome.nats,
        "tokens": outcome.tokens,
        "token_digest": outcome.token_digest,
    }
