"""One published figure and ours from the same inputs, by the functions that every estimate uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Inputs = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkedExample:
    """A figure that people quote. `published` in `unit`, None where only the inputs were; `note` says why ours differs.

    `scaling`: to which power of an input the figure goes, for those where it is a power; `doubled`: the figure with an
    input doubled, reckoned apart, where it is none. A test doubles each.
    """

    figure: str
    unit: str
    inputs: Inputs
    compute: Callable[[Inputs], float]
    published: float | None
    note: str = ""
    scaling: Mapping[str, float] = field(default_factory=dict)
    doubled: Mapping[str, float] = field(default_factory=dict)

    @property
    def ours(self) -> float:
        """The figure from its inputs."""
        return self.compute(self.inputs)

    @property
    def off(self) -> float | None:
        """Ours less the published one, as a share of it."""
        return None if self.published is None else self.ours / self.published - 1.0
