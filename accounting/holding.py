"""What holding a box costs: rented or bought, and fed. An hour costs a fixed part, and more while it is busy.

Rent contains electricity unless it is said to come on top. A bought box costs its price spread over calendar hours. Where
electricity is paid for, idle watts are paid whether the box works or not, and what it draws above them while it does.

The duty cycle is the share of calendar hours in which the box is busy with this work, its starts included; the start-up
share is the share of calendar hours that go into starts. Hours of work are what remains: their difference divides once, at
the end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from accounting.cost import usd_per_1k_in
from accounting.electricity import LEAST_PUE, usd_per_hour_of_watts

#: 365.25 days.
HOURS_PER_YEAR = 8766.0
#: Name of what is drawn in every hour, busy or not.
IDLE_PART = "electricity, idle"


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
        if not 0 < duty_cycle <= 1:
            raise ValueError(f"a duty cycle is a share above 0 and at most 1, not {duty_cycle}")
        return self.fixed_usd_per_hour + duty_cycle * self.busy_usd_per_hour

    def usd_per_hour_of_work(self, duty_cycle: float, start_up_share: float = 0.0) -> float:
        """Cost of an hour in which tokens come: the calendar's hours, divided among those busy and not starting.

        Raises:
            ValueError: for a duty cycle outside (0, 1], or starts that leave nothing of it.
        """
        calendar = self.usd_per_calendar_hour(duty_cycle)
        if not 0 <= start_up_share < duty_cycle:
            raise ValueError(
                f"starts take {start_up_share * 24:.3g} hours of a day, and the box is busy {duty_cycle * 24:.3g}, starts "
                "included: they must leave some of it, and cannot be less than none"
            )
        return calendar / (duty_cycle - start_up_share)


def rented(usd_per_hour: float) -> Holding:
    """A box by the hour, electricity contained.

    Raises:
        ValueError: if the rent is not positive.
    """
    _check_amount("rent", usd_per_hour)
    return _held("rent", usd_per_hour)


def bought(usd: float, years: float) -> Holding:
    """A box bought for `usd`, worth nothing after `years`; its electricity comes on top: `with_electricity`.

    Raises:
        ValueError: if price or life is not positive.
    """
    _check_amount("price", usd)
    _check_amount("life in years", years)
    return _held("purchase", usd / (years * HOURS_PER_YEAR))


def with_electricity(
    box: Holding, *, busy_watts: float, idle_watts: float, usd_per_kwh: float, pue: float = LEAST_PUE
) -> Holding:
    """The same box, and what it draws on top, at a tariff.

    Raises:
        ValueError: if it draws less busy than idle, or for a tariff or a PUE that is none.
    """
    if not 0 <= idle_watts <= busy_watts:
        raise ValueError(f"a box draws at least as much busy ({busy_watts} W) as idle ({idle_watts} W)")
    idle = usd_per_hour_of_watts(idle_watts, usd_per_kwh, pue)
    more = usd_per_hour_of_watts(busy_watts - idle_watts, usd_per_kwh, pue)
    return Holding(
        fixed_usd_per_hour=box.fixed_usd_per_hour + idle,
        busy_usd_per_hour=box.busy_usd_per_hour + more,
        parts=(*box.parts, (IDLE_PART, idle), ("electricity, more when busy", more)),
    )


def usd_per_1k(
    holding: Holding, tokens_per_s: float, *, duty_cycle: float = 1.0, start_up_share: float = 0.0
) -> float:
    """USD per 1000 tokens of a box that gives so many a second in its hours of work.

    Raises:
        ValueError: if the rate is not positive, or a share is out of its range.
    """
    _check_amount("token rate", tokens_per_s)
    hour = holding.usd_per_hour_of_work(duty_cycle, start_up_share)
    return usd_per_1k_in(hour / 3600.0, 1.0, tokens_per_s)


def _held(part: str, usd_per_hour: float) -> Holding:
    return Holding(fixed_usd_per_hour=usd_per_hour, busy_usd_per_hour=0.0, parts=((part, usd_per_hour),))


def _check_amount(name: str, amount: float) -> None:
    if not (math.isfinite(amount) and amount > 0):
        raise ValueError(f"{name} must be a positive number, not {amount}")
