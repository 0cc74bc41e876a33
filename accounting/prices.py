"""A price: an amount that says where it comes from and when."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Price:
    """Rent of the whole box in USD per hour, with its source and date. No dollars without a date."""

    usd_per_hour: float
    source: str
    as_of: date

    def __post_init__(self) -> None:
        """Refuse amounts that are no price and prices that come from nowhere."""
        if not (math.isfinite(self.usd_per_hour) and self.usd_per_hour > 0):
            raise ValueError(f"usd_per_hour must be a positive number, not {self.usd_per_hour}")
        if not self.source.strip():
            raise ValueError("a price needs its source: a page, an invoice, or 'declared for this example'")

    @property
    def usd_per_s(self) -> float:
        """USD per second."""
        return self.usd_per_hour / 3600.0
