"""What is asked of a served model and how its answer is judged: one item, a set of them, the choice by seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from accounting.errors import ConfigError


class Judging(StrEnum):
    """How an answer is compared with the reference."""

    LAST_NUMBER = "last number"
    EXACT = "exact"
    CONTAINS = "contains"
    CODE = "code passes its tests"


@dataclass(frozen=True, slots=True)
class CodeTest:
    """The tests of a function: Python that defines `check(candidate)`, and the function's name."""

    code: str
    entry_point: str


@dataclass(frozen=True, slots=True)
class QualityItem:
    """One question. Either `messages` (role, text) are a chat, or `prompt` is a text to be continued.

    `reference` is the right answer as a text, whose likelihood is measured; `expected` what is compared.
    """

    item_id: str
    reference: str
    expected: str
    judging: Judging
    max_tokens: int
    messages: tuple[tuple[str, str], ...] = ()
    prompt: str = ""
    stop: tuple[str, ...] = ()
    code_test: CodeTest | None = None


@dataclass(frozen=True, slots=True)
class QualitySet:
    """All items of a set. `key` names it in files and changes with its content; `source` says where it is from."""

    name: str
    key: str
    source: str
    items: tuple[QualityItem, ...]

    @property
    def runs_code(self) -> bool:
        """Whether judging an answer means executing it."""
        return any(item.judging is Judging.CODE for item in self.items)


def chosen_items(quality_set: QualitySet, n: int, seed: int) -> tuple[QualityItem, ...]:
    """The n items that this seed picks: the same for every configuration; more items contain fewer.

    Raises:
        ConfigError: if n is not between 1 and the number of items there are.
    """
    there = len(quality_set.items)
    if not 1 <= n <= there:
        raise ConfigError(
            f"--n is {n}; the set {quality_set.name} has {there} items.",
            hint=f"Give --n between 1 and {there}.",
        )
    order: Sequence[int] = range(there)
    picked = random.Random(f"quality {seed}").sample(order, there)[:n]
    return tuple(quality_set.items[index] for index in picked)
