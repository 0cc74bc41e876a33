"""How hard servers are driven: streams, offered rates, or each arm's own capacity under the SLO."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import msgspec
from pydantic import BeforeValidator, Field, model_validator

from accounting.capacity import Bounds
from accounting.errors import ConfigError
from loadtest.arrivals import parse_arrivals
from serving.section import Section, as_tuple

#: The label of every cell that runs at its arm's capacity.
CAPACITY = "capacity"
Kind = Literal["streams", "rate"]


def level_label(kind: Kind, value: float) -> str:
    """`1 stream`, `8 streams`, `2.5 requests/s`."""
    unit = unit_of(kind)
    return f"{value:g} {unit.removesuffix('s') if kind == 'streams' and value == 1 else unit}"


def unit_of(kind: Kind) -> str:
    """What a number of this kind counts."""
    return "streams" if kind == "streams" else "requests/s"


class Level(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One load. `value` is streams or offered requests per second; None: the arm's capacity, which a search finds."""

    kind: Kind
    value: float | None

    @property
    def label(self) -> str:
        """Under which results of this load are kept."""
        return CAPACITY if self.value is None else level_label(self.kind, self.value)

    @property
    def slug(self) -> str:
        """The end of a cell's folder: `8`, `2.5-per-s`, `capacity`."""
        if self.value is None:
            return CAPACITY
        return f"{self.value:g}" if self.kind == "streams" else f"{self.value:g}-per-s"


class CapacitySection(Section):
    """How each arm's capacity is searched for: the highest load that meets the SLO's attainment floor.

    Every probe is a measured cell of the arm's search block; the price comes from the blocks after it.
    """

    by: Kind = "streams"
    """streams: closed-loop streams. rate: offered requests per second."""
    lowest: Annotated[float, Field(gt=0)] = 1.0
    """The first load tried; one that misses the floor here has no capacity under this SLO."""
    highest: Annotated[float, Field(gt=0)] = 64.0
    """No load above it is tried."""
    resolution: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The search ends when the lowest load that missed is within this share of the highest that met (or 1 stream)."""
    headroom: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """A probe must keep limits lower by this share: speed differs by some per cent from one server life to the next, and
    without headroom half of all chosen loads would miss the floor in the blocks that confirm them."""
    most_probes: Annotated[int, Field(ge=2, le=40)] = 12
    """Most cells of a search, for each arm and workload."""

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.highest < self.lowest:
            raise ValueError(f"highest ({self.highest:g}) must not be below lowest ({self.lowest:g})")
        if self.by == "streams" and not (self.lowest.is_integer() and self.highest.is_integer()):
            raise ValueError("streams come in whole numbers: lowest and highest must be whole")
        return self

    def to_bounds(self) -> Bounds:
        """As the search reckons with them."""
        return Bounds(
            self.lowest, self.highest, self.resolution, self.most_probes, whole=self.by == "streams"
        )


def _number(value: Any) -> Any:
    """Strict mode takes no whole number for a float inside a tuple."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


class LoadSection(Section):
    """How hard the server is driven: one of `streams`, `rates` and `capacity`."""

    streams: Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], BeforeValidator(as_tuple)] = ()
    """Closed-loop streams, one cell per value: each stream sends its next request when its answer is complete."""
    rates: Annotated[
        tuple[Annotated[float, BeforeValidator(_number), Field(gt=0)], ...], BeforeValidator(as_tuple)
    ] = ()
    """Offered requests per second, one cell per value, whether or not answers keep up. All arms that keep up cost the
    same at a fixed rate, by construction: latency is what is compared."""
    arrivals: str = "poisson"
    """For rates: poisson, constant, or gamma:CV."""
    capacity: CapacitySection | None = None
    """Each arm at the highest load that meets the SLO; `loads: capacity` for the defaults."""

    @model_validator(mode="before")
    @classmethod
    def _in_a_word(cls, data: Any) -> Any:
        if data == CAPACITY:
            return {CAPACITY: {}}
        if isinstance(data, str):
            raise ValueError(
                "the only load in one word is `capacity`; streams are written `{streams: [1, 8]}`"
            )
        if isinstance(data, Mapping) and data.get(CAPACITY, ...) in (None, True):
            return {**data, CAPACITY: {}}
        return data

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        given = [n for n in ("streams", "rates", "capacity") if getattr(self, n) not in ((), None)]
        if len(given) != 1:
            found = " and ".join(given) if given else "none of them (a list needs at least one value)"
            raise ValueError(f"give exactly one of streams, rates and capacity, not {found}")
        for name in ("streams", "rates"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name}: none twice, not {', '.join(f'{v:g}' for v in values)}")
        try:
            parse_arrivals(self.arrivals)
        except ConfigError as error:
            raise ValueError(error.message) from error
        if self.arrivals != "poisson" and not self.open_loop:
            raise ValueError("arrivals means something with rates only: leave it out")
        return self

    @property
    def open_loop(self) -> bool:
        """Whether requests are sent at a rate, not by streams."""
        return bool(self.rates) or (self.capacity is not None and self.capacity.by == "rate")

    @property
    def levels(self) -> tuple[Level, ...]:
        """Every load, in the order given."""
        if self.capacity is not None:
            return (Level(self.capacity.by, None),)
        if self.rates:
            return tuple(Level("rate", rate) for rate in self.rates)
        return tuple(Level("streams", float(streams)) for streams in self.streams)

    @property
    def most_streams(self) -> int:
        """The largest number of streams of any cell; 0 in an open loop."""
        if self.open_loop:
            return 0
        return int(self.capacity.highest) if self.capacity is not None else max(self.streams)


def is_rate(label: str) -> bool:
    """Whether a load's label is that of a fixed offered rate."""
    return label.endswith(unit_of("rate"))


def load_of(row: Mapping[str, Any]) -> str:
    """The load's label of a row of measures; older run directories give streams only."""
    return str(row.get("load") or level_label("streams", row["streams"]))
