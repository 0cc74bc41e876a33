"""What training takes: 6 operations per parameter and token, 8 where activations are computed again.

Forward 2, backward 4; recomputing the forward pass adds 2 (Narayanan et al., arXiv 2104.04473, appendix).
"""

from __future__ import annotations

SECONDS_PER_DAY = 86_400.0
HOURS_PER_DAY = 24.0
DAYS_PER_YEAR = 365.25
PETAFLOP = 1e15


def training_flops(parameters: float, tokens: float, *, recompute: bool = False) -> float:
    """6 P T, or 8 P T with recomputed activations.

    Raises:
        ValueError: if either is not positive.
    """
    if parameters <= 0 or tokens <= 0:
        raise ValueError(f"{parameters} parameters on {tokens} tokens cannot be trained")
    return (8.0 if recompute else 6.0) * parameters * tokens


def training_s(flops: float, devices: int, flops_per_s: float) -> float:
    """Seconds on so many devices that each reach so many operations a second: flops / (n X).

    Raises:
        ValueError: without devices or rate.
    """
    if devices < 1 or flops_per_s <= 0:
        raise ValueError(f"{devices} devices at {flops_per_s} operations a second train nothing")
    return flops / (devices * flops_per_s)


def device_hours(flops: float, peak_flops_per_s: float, used_share: float) -> float:
    """Hours of one device at a share of its peak (MFU).

    Raises:
        ValueError: for a share outside (0, 1], or no peak.
    """
    if not 0 < used_share <= 1 or peak_flops_per_s <= 0:
        raise ValueError(f"{used_share} of {peak_flops_per_s} operations a second cannot be used")
    return flops / (peak_flops_per_s * used_share) / 3600.0


def used_share(flops: float, peak_flops_per_s: float, hours_of_devices: float) -> float:
    """The MFU that so many device hours imply: the inverse of `device_hours`."""
    return flops / (peak_flops_per_s * hours_of_devices * 3600.0)


def petaflop_days(flops: float) -> float:
    """Work in days of one petaflop a second."""
    return flops / (PETAFLOP * SECONDS_PER_DAY)


def petaflop_years(flops: float) -> float:
    """The same in years of 365.25 days."""
    return petaflop_days(flops) / DAYS_PER_YEAR


def hours_of_devices(devices: float, days: float) -> float:
    """Hours of so many devices for so many days."""
    return devices * days * HOURS_PER_DAY


def rent(hours_of_devices: float, per_device_hour: float) -> float:
    """Of so many hours of devices, in the currency of the price."""
    return hours_of_devices * per_device_hour


def rent_of_servers(
    devices: float, devices_per_server: float, per_server_and_month: float, months: float = 1.0
) -> float:
    """Of the servers that hold so many devices, for so many months, in the currency of the price."""
    return devices / devices_per_server * per_server_and_month * months
