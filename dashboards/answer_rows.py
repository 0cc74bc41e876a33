"""What is known of an arm's answers, as the report's input: quality where numerics differ, losslessness where it speculates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and its 95 % interval, both None where there is none."""

    value: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Quality:
    """What an arm scores on one set, or `words` (and the `command` that would measure it) where nobody measured.

    `differs_in` names the settings that change the numbers against the baseline, none for the baseline itself.
    `score` is a share; `score_difference` and `perplexity_ratio` are paired, on the items that the baseline
    answered too. `reason` explains every None.
    """

    arm: str
    differs_in: Sequence[str]
    set_name: str = ""
    words: str = ""
    command: str = ""
    score: Estimate = field(default_factory=Estimate)
    failures: int = 0
    perplexity: Estimate = field(default_factory=Estimate)
    score_difference: Estimate = field(default_factory=Estimate)
    perplexity_ratio: Estimate = field(default_factory=Estimate)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Losslessness:
    """Whether speculation changed an arm's greedy texts in one dtype, against the unspeculated baseline.

    Of `texts`, `agreeing` are equal to the last token; the first differences of the others are `excused` (within the
    baseline's own numerical noise) or `unexcused`. `power` is the chance that a wrong token now and then would have
    been found. Without texts nothing was measured, and `word` and `reason` say so.
    """

    arm: str
    dtype: str
    word: str
    texts: int
    agreeing: int
    excused: int
    unexcused: int
    power: float | None
    reason: str
