"""What training the model would take: 6 operations per active parameter and token, over what so many devices reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accounting.estimate.parameters import active_parameters
from accounting.estimate.placement import Placement
from accounting.estimate.training import SECONDS_PER_DAY, device_hours, rent, training_flops, training_s
from accounting.estimate.weight_bytes import Format
from accounting.prices import Price


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """On how many `tokens`, on how many `devices`, which each reach `flops_share` of their bfloat16 peak."""

    tokens: float
    devices: int
    flops_share: float


def training(asked: Training, placed: Placement, price: Price | None) -> dict[str, Any]:
    """Days and dollars; the reason where there are none.

    Raises:
        ValueError: for no tokens, no devices or a share outside (0, 1].
    """
    peak = placed.device.rate(Format.BFLOAT16)
    flops = training_flops(active_parameters(placed.shape).total, asked.tokens)
    hours = device_hours(flops, peak, asked.flops_share)
    seconds = training_s(flops, asked.devices, peak * asked.flops_share)
    return {
        "tokens": asked.tokens,
        "devices": asked.devices,
        "flops_share": asked.flops_share,
        "flops": flops,
        "device_hours": hours,
        "days": seconds / SECONDS_PER_DAY,
        "usd": None if price is None else rent(hours, price.usd_per_hour),
        "reason": "no price was given: --price NAME or --usd-per-hour X" if price is None else None,
    }


def training_sentence(said: dict[str, Any]) -> str:
    """The same in words."""
    usd = f"no dollars: {said['reason']}" if said["usd"] is None else f"{said['usd']:,.0f} $"
    return (
        f"training on {said['tokens']:.4g} tokens (6 P T = {said['flops']:.4g} operations): {said['days']:,.4g} days on "
        f"{said['devices']:,} devices at {said['flops_share']:.0%} of their peak, {said['device_hours']:,.0f} device hours, {usd}"
    )
