"""What a rule looks at and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from serving.config import ServerConfig
from serving.models.checkpoint_facts import CheckpointFacts


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason not to start: the rule's name, what is wrong, and what to write instead."""

    rule: str
    reason: str
    way_out: str

    @property
    def sentence(self) -> str:
        """Both, as a user reads them."""
        return f"{self.reason} {self.way_out}"


@dataclass(frozen=True)
class Circumstances:
    """Where a configuration would run. What is None is not known, and rules that need it stay silent.

    `device` is "cpu" or "cuda"; `has_package` tells whether a Python package can be found; `target` and
    `draft` are what the two checkpoints say of themselves; `instructions` those of an x86 processor, as Linux names them.
    """

    device: str
    devices: int = 1
    numa_nodes: int = 1
    has_package: Callable[[str], bool] = lambda _name: True
    target: CheckpointFacts | None = None
    draft: CheckpointFacts | None = None
    instructions: frozenset[str] = frozenset()


Rule = Callable[[ServerConfig, Circumstances], Iterator[Refusal]]
