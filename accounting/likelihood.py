"""How well a served model predicts given texts: perplexity with an interval over items, and a paired difference.

The mean negative log-likelihood per token is a ratio of two sums over items (nats, tokens). Tokens of one text
are not independent, so the item is the unit: the interval is that of a ratio over clusters (`ratio_interval`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from accounting.ratio_interval import clustered_ratio_interval

CONFIDENCE = 0.95
MINIMUM_ITEMS = 4


@dataclass(frozen=True, slots=True)
class TextLikelihood:
    """One text under one model: the sum of -ln p over its tokens, in nats, and how many tokens that are."""

    nats: float
    tokens: int


@dataclass(frozen=True, slots=True)
class MeanNats:
    """Nats per token over `items` texts; `interval` is None below `MINIMUM_ITEMS`.

    Of a difference: the second model's minus the first's on the same tokens, above zero where the second
    predicts worse. `exp` of it is a perplexity, or the ratio of two.
    """

    nats_per_token: float
    interval: tuple[float, float] | None
    items: int
    tokens: int

    @property
    def exponential(self) -> float:
        """Perplexity, or the ratio of perplexities of a difference."""
        return _exp(self.nats_per_token)

    @property
    def exponential_interval(self) -> tuple[float, float] | None:
        """The interval of `exponential`."""
        return None if self.interval is None else (_exp(self.interval[0]), _exp(self.interval[1]))


def mean_nats(texts: Sequence[TextLikelihood]) -> MeanNats:
    """Nats per token over texts.

    Raises:
        ValueError: without texts, or where one has no tokens or no finite likelihood.
    """
    if not texts or any(text.tokens < 1 or not math.isfinite(text.nats) for text in texts):
        raise ValueError("a mean likelihood needs texts of at least one token and a finite likelihood each")
    return _ratio([text.nats for text in texts], [text.tokens for text in texts])


def mean_difference(pairs: Sequence[tuple[TextLikelihood, TextLikelihood]]) -> MeanNats:
    """Nats per token by which the second model of each pair is worse on the same tokens.

    Raises:
        ValueError: without pairs, or where a pair's texts have different numbers of tokens.
    """
    if not pairs or any(first.tokens != second.tokens or first.tokens < 1 for first, second in pairs):
        raise ValueError("a paired likelihood needs pairs, each of the same tokens")
    return _ratio([second.nats - first.nats for first, second in pairs], [first.tokens for first, _ in pairs])


def _ratio(nats: Sequence[float], tokens: Sequence[int]) -> MeanNats:
    items, total = len(tokens), sum(tokens)
    interval = clustered_ratio_interval(nats, tokens, level=CONFIDENCE) if items >= MINIMUM_ITEMS else None
    return MeanNats(math.fsum(nats) / total, interval, items, total)


def _exp(value: float) -> float:
    """e to the power of value; infinite, not an error, for a model that rules the text out."""
    return math.exp(value) if value < 700 else math.inf
