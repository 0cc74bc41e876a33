"""From which duty cycle on a box of one's own is cheaper than paying by the token. On the allocation basis: every hour
held is paid for.

Cost of a calendar hour at duty d: fixed + d busy. Of the share d, the share s goes into starts. What the tokens would cost
elsewhere: (d - s) x tokens per hour x price. Equal at d = (fixed + s x tokens per hour x price) / (tokens per hour x price -
busy).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from accounting.holding import Holding, usd_per_1k


@dataclass(frozen=True, slots=True)
class BreakEven:
    """`duty_cycle` from which on the box is cheaper; None where it never is, also when always busy.

    `full_usd_per_1k`: what a thousand tokens of the box cost when it is always busy, starts included.
    """

    duty_cycle: float | None
    full_usd_per_1k: float
    elsewhere_usd_per_1k: float


def break_even(
    holding: Holding, tokens_per_s: float, elsewhere_usd_per_1k: float, *, start_up_share: float = 0.0
) -> BreakEven:
    """Against tokens at a price elsewhere: an API's, or those of a bigger box rented for as long as it is needed.

    `start_up_share`: of calendar hours, as in `usd_per_1k`; as many starts at whatever duty cycle.

    Raises:
        ValueError: if the rate or the price is not positive, or starts take all hours.
    """
    if not all(math.isfinite(v) and v > 0 for v in (tokens_per_s, elsewhere_usd_per_1k)):
        raise ValueError(
            f"{tokens_per_s} tokens/s against {elsewhere_usd_per_1k} USD per 1k tokens: both must be positive"
        )
    worth_per_hour = tokens_per_s * 3.6 * elsewhere_usd_per_1k
    above_power = worth_per_hour - holding.busy_usd_per_hour
    lost = start_up_share * worth_per_hour
    duty = (holding.fixed_usd_per_hour + lost) / above_power if above_power > 0 else math.inf
    full = usd_per_1k(holding, tokens_per_s, start_up_share=start_up_share)
    return BreakEven(duty if duty <= 1.0 else None, full, elsewhere_usd_per_1k)


def blended_usd_per_1k_output(
    usd_per_1m_input: float, usd_per_1m_output: float, input_per_output: float, *,
    usd_per_1m_cached: float | None = None, cached_share: float = 0.0,
) -> float:  # fmt: skip
    """What an API asks for 1000 output tokens and the input that comes with them, USD.

    `input_per_output`: input tokens for each output token. `cached_share` of the input is billed at `usd_per_1m_cached`
    (the price of input where None).

    Raises:
        ValueError: for a negative price, ratio or share.
    """
    cached = usd_per_1m_input if usd_per_1m_cached is None else usd_per_1m_cached
    amounts = (usd_per_1m_input, usd_per_1m_output, cached, input_per_output)
    if not all(math.isfinite(v) and v >= 0 for v in amounts) or not 0 <= cached_share <= 1:
        raise ValueError("an API's prices and shares of tokens cannot be negative")
    per_input = usd_per_1m_input * (1.0 - cached_share) + cached * cached_share
    return (usd_per_1m_output + input_per_output * per_input) / 1000.0
