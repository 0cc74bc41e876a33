"""What holding a box costs: rented, or bought and fed. An hour costs a fixed part, and more while it is busy.

Rent already contains electricity, so that nothing is added to it. A bought box costs its price spread over calendar hours,
idle watts whether it works or not, and what it draws above them while it does. The duty cycle, the share of calendar
hours in which it does this work, divides once, at the end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from accounting.electricity import usd_per_hour_of_watts

#: 365.25 days.
HOURS_PER_YEAR = 8766.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """USD of a calendar hour: `fixed_usd_per_hour` in any case, `busy_usd_per_hour` more for each busy one.

    `parts`: what these consist of, USD per hour by name, those of a busy hour included.
    """

    fixed_usd_per_hour: float
    busy_usd_per_hour: float
    parts: tuple[tuple[str, float], ...]

    def usd_per_calendar_hour(self, duty_cycle: float) -> float:
        """Cost of an hour of the calendar at this duty cycle.

        Raises:
            ValueError: for a duty cycle outside (0, 1].
        """
        _check_duty(duty_cycle)
        return self.fixed_usd_per_hour + duty_cycle * self.busy_usd_per_hour

    def usd_per_busy_hour(self, duty_cycle: float) -> float:
        """Cost of an hour of work: the calendar's hours, divided among those that are busy.

        Raises:
            ValueError: for a duty cycle outside (0, 1].
        """
        return self.usd_per_calendar_hour(duty_cycle) / duty_cycle


def rented(usd_per_hour: float) -> Holding:
    """A box by the hour, electricity contained.

    Raises:
        ValueError: if the rent is not positive.
    """
    _check_amount("rent", usd_per_hour)
    return Holding(fixed_usd_per_hour=usd_per_hour, busy_usd_per_hour=0.0, parts=(("rent", usd_per_hour),))


def bought(
    usd: float, years: float, *, busy_watts: float, idle_watts: float, usd_per_kwh: float, pue: float = 1.0
) -> Holding:
    """A box bought for `usd`, worth nothing after `years`, at a tariff.

    Raises:
        ValueError: if price or life is not positive, or it draws less busy than idle.
    """
    _check_amount("price", usd)
    _check_amount("life in years", years)
    if not 0 <= idle_watts <= busy_watts:
        raise ValueError(f"a box draws at least as much busy ({busy_watts} W) as idle ({idle_watts} W)")
    capital = usd / (years * HOURS_PER_YEAR)
    idle = usd_per_hour_of_watts(idle_watts, usd_per_kwh, pue)
    busy = usd_per_hour_of_watts(busy_watts - idle_watts, usd_per_kwh, pue)
    return Holding(
        fixed_usd_per_hour=capital + idle,
        busy_usd_per_hour=busy,
        parts=(("purchase", capital), ("electricity, idle", idle), ("electricity, more when busy", busy)),
    )


def usd_per_1k(
    holding: Holding, tokens_per_s: float, *, duty_cycle: float = 1.0, start_up_share: float = 0.0
) -> float:
    """USD per 1000 tokens of a box that gives so many a second while it is busy.

    `start_up_share`: of the held hours that go into starting; they are paid for and give nothing.

    Raises:
        ValueError: if the rate is not positive, or a share is out of its range.
    """
    _check_amount("token rate", tokens_per_s)
    if not 0 <= start_up_share < 1:
        raise ValueError(f"a start-up share is at least 0 and below 1, not {start_up_share}")
    busy_hour = holding.usd_per_busy_hour(duty_cycle)
    return busy_hour / 3600.0 / tokens_per_s * 1000.0 / (1.0 - start_up_share)


def _check_duty(duty_cycle: float) -> None:
    if not 0 < duty_cycle <= 1:
        raise ValueError(f"a duty cycle is a share above 0 and at most 1, not {duty_cycle}")


def _check_amount(name: str, amount: float) -> None:
    if not (math.isfinite(amount) and amount > 0):
        raise ValueError(f"{name} must be a positive number, not {amount}")
