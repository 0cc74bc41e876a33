"""What `kilotoken price` is asked: on which terms a run is priced, and against what. Every amount with its source and date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from accounting.prices import Price


@dataclass(frozen=True, slots=True)
class Dated:
    """An amount that says where it comes from and when."""

    amount: float
    source: str
    as_of: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Electricity:
    """What a box pays for beside itself. None: no PUE, each place's own measured watts, no idle watts known."""

    usd_per_kwh: Dated
    pue: Dated | None = None
    busy_watts: float | None = None
    idle_watts: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """A box bought, and the years until it is worth nothing."""

    usd: float
    years: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPrice:
    """USD per million tokens that an API asks; cached input as other input where None."""

    usd_per_1m_output: float
    usd_per_1m_input: float
    usd_per_1m_cached: float | None
    source: str
    as_of: date

    @property
    def words(self) -> str:
        """The amounts for a person."""
        cached = "as input" if self.usd_per_1m_cached is None else f"{self.usd_per_1m_cached:g} $"
        return f"{self.usd_per_1m_output:g} $ per 1M output tokens, {self.usd_per_1m_input:g} $ per 1M input, cached input {cached}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRequest:
    """On which terms, and against what. Without `rent` and `purchase` the run's own price stands.

    `start_up_s`: seconds of a start, None where the run's own are meant. `warnings`: of prices that were named.
    """

    rent: Price | None = None
    purchase: Purchase | None = None
    electricity: Electricity | None = None
    duty_cycle: float = 1.0
    starts_per_day: float = 0.0
    start_up_s: float | None = None
    api: ApiPrice | None = None
    against: Path | None = None
    route_share: float | None = None
    warnings: tuple[str, ...] = ()
