"""Dollars per token: the price of the held time divided by what it delivered.

Allocation basis: every second of the window is paid for, busy or not. Rent already contains electricity. Measured runs,
re-priced ones and estimates all divide in `usd_per_1k_in`.
"""

from __future__ import annotations

from accounting.missing import Measured, measured, not_measured
from accounting.prices import Price


def usd_per_1k_tokens(price: Price, window_s: float, tokens: float) -> Measured:
    """Cost of 1000 tokens: usd_per_hour / 3600 x window_s / tokens x 1000.

    Raises:
        ValueError: if the window is not positive or the token count negative.
    """
    if window_s <= 0 or tokens < 0:
        raise ValueError(f"a window of {window_s} s with {tokens} tokens has no cost")
    if tokens == 0:
        return not_measured("no tokens were delivered in the window")
    return measured(usd_per_1k_in(price.usd_per_s, window_s, tokens))


def usd_per_1k_in(usd_per_s: float, seconds: float, tokens: float) -> float:
    """Cost of 1000 tokens of so many in so many seconds: the one division that every cost per token comes from."""
    return usd_per_s * seconds / tokens * 1000.0


def per_million(usd_per_1k: float) -> float:
    """The same cost per million tokens."""
    return usd_per_1k * 1000.0


def slo_cost(usd_per_1k: Measured, slo_token_share: Measured) -> Measured:
    """Cost per 1000 tokens of requests that met the SLO: all cost / (all output x their share).

    The share comes from the requests sent inside the window, failures in the denominator.
    """
    if usd_per_1k.value is None:
        return usd_per_1k
    if slo_token_share.value is None:
        return slo_token_share
    if slo_token_share.value == 0.0:
        return not_measured("no request met the SLO")
    return measured(usd_per_1k.value / slo_token_share.value)
