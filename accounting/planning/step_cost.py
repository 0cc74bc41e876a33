"""What a step of the engine takes, by cause, fitted to measured windows: T(B, k, context) of this box.

A window's mean step is a sum: what every step takes, each sequence in it, each drafted token that is judged, each token of
context that is read and each prompt token that is prefilled, which the target does whatever drafts for it; and, for each
method, what it adds to a step, to each sequence of it, and to each pass of a drafter. No part is below zero (Lawson and Hanson,
Solving Least Squares Problems, chapter 23), and relative errors are what is made small. T is measured: a parameter count says
nothing of a scheduler's, a sampler's or a lookup's time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls
from scipy.special import stdtrit

from accounting.planning.drafting_yield import OFF

#: Windows more than there are parts, so that a misfit can show.
SPARE_WINDOWS = 2
#: What a method adds, in the order of the fit.
_OWN = ("step", "sequence", "draft pass", "draft pass of a sequence")
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepWork:
    """The mean step of an engine.

    Attributes:
        method: who drafts; `off` where nobody does.
        sequences: that decode in it.
        drafted: tokens that were drafted for all of them together.
        draft_steps: passes of the drafter, one after the other.
        context: tokens behind all of the sequences together.
        prefilled: prompt tokens.
    """

    method: str = OFF
    sequences: float
    drafted: float = 0.0
    draft_steps: float = 0.0
    context: float = 0.0
    prefilled: float = 0.0


@dataclass(frozen=True, slots=True)
class Predicted:
    """Seconds of a step, and the interval at 95 % in which another window's mean step lies."""

    seconds: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class StepRates:
    """Seconds for each of what is in a step of one method; `fixed`: whatever is in it."""

    fixed: float
    sequence: float
    judged: float
    context: float
    prefilled: float
    draft_pass: float
    draft_pass_of_sequence: float

    def seconds(
        self, sequences: float, drafted: float, draft_steps: float, context: float, prefilled: float
    ) -> float:
        """Of one step; amounts as in `StepWork`."""
        passes = draft_steps * (self.draft_pass + self.draft_pass_of_sequence * sequences)
        return (
            self.fixed
            + self.sequence * sequences
            + self.judged * drafted
            + self.context * context
            + self.prefilled * prefilled
            + passes
        )


@dataclass(frozen=True, slots=True)
class StepCost:
    """Fitted parts, seconds each; `misfit`: root of the mean squared relative error, with the degrees of freedom that are left.

    `inverse`: of the normal matrix of the parts that are not zero, for intervals.
    """

    parts: tuple[tuple[str, float], ...]
    methods: tuple[str, ...]
    misfit: float
    freedom: int
    inverse: tuple[tuple[float, ...], ...]

    def by_cause(self, work: StepWork) -> dict[str, float]:
        """Seconds of a step by part; parts that are zero are left out.

        Raises:
            ValueError: for a method that no window showed.
        """
        self._check(work)
        amounts = _amounts(work, self.methods)
        causes = {name: part * amount for (name, part), amount in zip(self.parts, amounts, strict=True)}
        return {name: seconds for name, seconds in causes.items() if seconds}

    def seconds(self, work: StepWork) -> float:
        """Seconds of a step.

        Raises:
            ValueError: for a method that no window showed.
        """
        return self.rates(work.method).seconds(
            work.sequences, work.drafted, work.draft_steps, work.context, work.prefilled
        )

    def rates(self, method: str) -> StepRates:
        """The same for many steps of one method.

        Raises:
            ValueError: for a method that no window showed.
        """
        self._check(StepWork(method=method, sequences=0))
        known = dict(self.parts)
        own = {part: known.get(f"{method}: {part}", 0.0) for part in _OWN}
        return StepRates(
            known["step"] + own["step"], known["sequence"] + own["sequence"], known["judged token"],
            known["context token"], known["prefilled token"], own["draft pass"], own["draft pass of a sequence"],
        )  # fmt: skip

    def predicted(self, work: StepWork) -> Predicted:
        """With its interval: the spread between windows, and how little the fit knows of such work.

        Raises:
            ValueError: for a method that no window showed.
        """
        seconds = self.seconds(work)
        if seconds <= 0:
            return Predicted(seconds, 0.0, math.inf)
        amounts = _amounts(work, self.methods)
        kept = [amount for (_, part), amount in zip(self.parts, amounts, strict=True) if part > 0]
        row = np.asarray(kept) / seconds
        leverage = float(row @ np.asarray(self.inverse) @ row)
        half = float(stdtrit(self.freedom, 0.975)) * self.misfit * math.sqrt(1.0 + leverage)
        return Predicted(seconds, seconds * max(0.0, 1.0 - half), seconds * (1.0 + half))

    def _check(self, work: StepWork) -> None:
        if work.method != OFF and work.method not in self.methods:
            raise ValueError(
                f"no window was measured with {work.method}; there are {', '.join((OFF, *self.methods))}"
            )


def part_names(methods: Sequence[str]) -> list[str]:
    """What a step's time is made of, in the order of the fit."""
    shared = ["step", "sequence", "judged token", "context token", "prefilled token"]
    return shared + [f"{method}: {part}" for method in methods for part in _OWN]


def _amounts(work: StepWork, methods: Sequence[str]) -> list[float]:
    own = (1.0, work.sequences, work.draft_steps, work.draft_steps * work.sequences)
    amounts = [1.0, work.sequences, work.drafted, work.context, work.prefilled]
    for method in methods:
        amounts += own if method == work.method else (0.0,) * len(own)
    return amounts


def fit_step_cost(windows: Sequence[tuple[StepWork, float]]) -> StepCost:
    """Parts from windows' mean steps.

    Args:
        windows: work of the mean step, and its seconds.

    Raises:
        ValueError: if the windows are too few to tell parts apart, or a step took no time.
    """
    methods = tuple(dict.fromkeys(work.method for work, _ in windows if work.method != OFF))
    names = part_names(methods)
    seconds = np.asarray([step for _, step in windows], dtype=np.float64)
    if len(windows) < 1 + SPARE_WINDOWS or not (seconds > 0).all():
        raise ValueError(
            f"{len(windows)} windows with a step's time tell nothing apart, {1 + SPARE_WINDOWS} are the least"
        )
    amounts = np.asarray([_amounts(work, methods) for work, _ in windows], dtype=np.float64)
    rows: Floats = amounts / seconds[:, None]
    scale = rows.max(axis=0)
    there = np.flatnonzero(scale > 0)
    scaled, _ = nnls(rows[:, there] / scale[there], np.ones(len(windows)))
    parts = np.zeros(len(names))
    parts[there] = scaled / scale[there]
    kept = np.flatnonzero(parts > 0)
    freedom = len(windows) - len(kept)
    if freedom < SPARE_WINDOWS:
        raise ValueError(
            f"{len(windows)} windows are too few for {len(kept)} parts of a step, {len(kept) + SPARE_WINDOWS} are needed"
        )
    errors = rows @ parts - 1.0
    inverse = np.linalg.pinv(rows[:, kept].T @ rows[:, kept])
    return StepCost(
        tuple(zip(names, map(float, parts), strict=True)),
        methods,
        float(np.sqrt(np.sum(errors**2) / freedom)),
        freedom,
        tuple(tuple(map(float, row)) for row in inverse),
    )
