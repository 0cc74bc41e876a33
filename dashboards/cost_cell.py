"""How a price per 1000 tokens stands in a table."""

from __future__ import annotations

from dashboards.markup import number_cell
from dashboards.missing_values import MissingValues
from dashboards.number_format import money, usable


def cost_cell(usd_per_1k: float | None, decimals: int, reason: str | None, missing: MissingValues) -> str:
    """A price per 1000 tokens whose title says it per million."""
    per_million = f"{money(usd_per_1k * 1000)} per million" if usable(usd_per_1k) else ""
    return number_cell(missing.shown(usd_per_1k, lambda usd: money(usd, decimals), reason), per_million)
