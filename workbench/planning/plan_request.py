"""What `kilotoken plan` was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from accounting.prices import Price
from accounting.slo import Slo
from workbench.loads import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """`profile`: its directory; the latest of this target on this machine without one. `mix`: shares of requests by class, as
    logged without. `drafters`: names of the profile's; all of them where empty.
    """

    target: str
    traces: Path
    slo: Slo
    by: Kind = "streams"
    profile: Path | None = None
    price: Price | None = None
    mix: str | None = None
    drafters: tuple[str, ...] = ()
    seed: int = 1
