"""What energy costs: joules at the wall of the building, by tariff."""

from __future__ import annotations

import math

JOULES_PER_KWH = 3.6e6
#: No building takes less than its machines do.
LEAST_PUE = 1.0


def electricity_usd(joules: float, usd_per_kwh: float, pue: float = LEAST_PUE) -> float:
    """Joules of the machine x PUE (what the building takes for each of them) x tariff.

    Raises:
        ValueError: for negative or infinite amounts, or a PUE below 1.
    """
    if not all(math.isfinite(value) and value >= 0 for value in (joules, usd_per_kwh)):
        raise ValueError(f"{joules} J at {usd_per_kwh} USD/kWh have no price")
    if not (math.isfinite(pue) and pue >= LEAST_PUE):
        raise ValueError(f"PUE is what a building takes over what its machines take, at least 1, not {pue}")
    return joules / JOULES_PER_KWH * pue * usd_per_kwh


def usd_per_hour_of_watts(watts: float, usd_per_kwh: float, pue: float = LEAST_PUE) -> float:
    """The same for a constant draw over an hour."""
    return electricity_usd(watts * 3600.0, usd_per_kwh, pue)
