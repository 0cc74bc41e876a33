"""What `kilotoken draft make` was asked for, and which of it each stage depends on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from accounting.prices import Price
from workbench.collect_temperatures import GREEDY, TemperatureMix
from workbench.drafting.given_traces import mark_of

Kind = Literal["distil", "eagle3"]
DEFAULT_K: dict[Kind, int] = {"distil": 4, "eagle3": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeRequest:
    """`start`: a small model of the target's tokenizer (distil); without it some of the target's own layers are taken.

    `settings`: of the training, over the defaults. `traces`: a directory of answers that were collected before; then nothing is
    asked, and `max_tokens`, `count` and `temperatures` say nothing.
    """

    target: str
    workloads: tuple[str, ...]
    kind: Kind
    budget_s: float
    out: Path
    start: str | None = None
    traces: Path | None = None
    k: int | None = None
    max_tokens: int = 192
    count: int | None = None
    seed: int = 1
    temperatures: TemperatureMix = GREEDY
    compare: bool = True
    price: Price | None = None
    settings: tuple[tuple[str, Any], ...] = ()

    @property
    def drafted(self) -> int:
        """Drafted tokens per step, of check and comparison."""
        return self.k or DEFAULT_K[self.kind]

    def of_asking(self) -> dict[str, Any]:
        """What the target's answers depend on.

        Raises:
            ConfigError: if `traces` is no collection.
        """
        if self.traces is not None:
            return {"target": self.target, "traces": mark_of(self.traces)}
        return {
            "target": self.target, "workloads": list(self.workloads), "max_tokens": self.max_tokens, "count": self.count,
            "seed": self.seed, "temperatures": str(self.temperatures),
        }  # fmt: skip

    def of_training(self) -> dict[str, Any]:
        """What the draft depends on besides."""
        return {"kind": self.kind, "start": self.start, "settings": dict(self.settings), "k": self.drafted}

    def of_comparison(self) -> dict[str, Any]:
        """What the comparison depends on besides."""
        price = self.price
        # Without its date: an amount given on the command line is dated today, whenever that is.
        priced = None if price is None else [price.usd_per_hour, price.source]
        return {"k": self.drafted, "price": priced}
