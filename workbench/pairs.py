"""How many pairs of blocks count: so many as were asked for, or fixed from a pilot, and never beyond the budget.

    pairs:   {pilot: 4, find: 5%, most: 20}
    budget:  {hours: 2, usd: 5}

The pilot's pairs show how much pairs differ; from that follows how many more find a change of `find` in cost in 80 % of
tries. They are not in the comparison: a number of pairs that depends on the very values that are tested would not keep
the stated error. The number is written once, to pairs.json, and not changed by a resumption.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from accounting.comparison import MINIMUM_PAIRS
from serving.section import Section


def as_share(value: Any) -> Any:
    """`5%` as 0.05; anything else as it is."""
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            return float(value.strip().removesuffix("%")) / 100
        except ValueError:
            return value
    return value


class PairsSection(Section):
    """How many pairs of blocks, fixed from a pilot. Without this section `repeats` says how many."""

    pilot: Annotated[int, Field(ge=2, le=20)] = MINIMUM_PAIRS
    """Pairs of the pilot. They fix the number of the pairs that follow and are not compared themselves."""
    find: Annotated[float, Field(gt=0, lt=1), BeforeValidator(as_share)] = 0.05
    """The change in cost, as a share (0.05 or 5%), that is to be found in 80 % of tries."""
    most: Annotated[int, Field(ge=MINIMUM_PAIRS, le=200)] = 20
    """Most pairs after the pilot, whatever it shows."""


class BudgetSection(Section):
    """What a run may take. It stops before the pair that would go beyond it; what is measured by then is compared."""

    hours: Annotated[float, Field(gt=0)] | None = None
    """Hours of the whole run: server starts, searches, cells that were cut off."""
    usd: Annotated[float, Field(gt=0)] | None = None
    """USD at the declared price."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.hours is None and self.usd is None:
            raise ValueError("give hours, usd, or both")
        return self

    def seconds(self, usd_per_hour: float) -> float:
        """The seconds that both limits leave."""
        limits = [
            None if self.hours is None else self.hours * 3600,
            None if self.usd is None else self.usd / usd_per_hour * 3600,
        ]
        return min(limit for limit in limits if limit is not None)
