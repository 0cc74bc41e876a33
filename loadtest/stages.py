"""When a cell's stages change: a state machine on a clock that is passed in, fed with counts; no I/O.

    warm-up     warm-up prompts at the tested load; closed loop: answers are cut short at a different length for
                each stream, so that the streams do not march in step
    ramp        measured prompts, not counted yet. Closed loop: a stream that has had an answer goes on with
                measured prompts, the window opens when all have. Open loop: for `ramp_s`
    window      at least `window_s` and until `completions` answers have come, at most `window_limit_s`; or until
                the arrivals are exhausted (a trace, `requests`), or the first of the streams is (natural lengths)
    tail        load goes on for `tail_s`, so that the window's end is scraped under load
    drain       no new request; the cell ends when the last answer is complete, or `drain_limit_s` later

One process decides for all: it adds up what each worker counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum

import msgspec

from loadtest.config import ClosedLoop, LoadSpec

#: Give up when nothing but failures has come back: so many in a row, and for so long. A server that has answered
#: before gets longer: while it is held up, only its failures come back, and they come at once.
FAILURES_BEFORE_GIVING_UP = 8
GIVE_UP_AFTER_S = 2.0
GIVE_UP_AFTER_ANSWERS_S = 20.0


class Stage(StrEnum):
    """Where the cell is."""

    WARM_UP = "warm_up"
    RAMP = "ramp"
    WINDOW = "window"
    TAIL = "tail"
    DRAIN = "drain"


class Counts(msgspec.Struct, kw_only=True):
    """What one load process has seen so far."""

    requests: int = 0
    failed: int = 0
    output_tokens: int = 0
    measured_streams: int = 0  # streams that have sent a measured prompt
    measured_answers: int = 0  # measured prompts answered well
    in_flight: int = 0
    failures_in_a_row: int = 0
    failing_for_s: float = 0.0  # since the first of these
    last_error: str = ""
    exhausted: bool = False  # it (or a stream whose end ends the window) has no measured prompt left
    finished: bool = False  # it has nothing in flight and will send nothing more


class StageClock:
    """Decides the stage of a cell. `emit` hears of every change, with its instant."""

    def __init__(self, spec: LoadSpec, *, emit: Callable[..., None], started_s: float) -> None:
        self._stages = spec.stages
        self._streams = spec.arrivals.streams if isinstance(spec.arrivals, ClosedLoop) else None
        self._first_ends = spec.ends_with_first_stream
        self._emit = emit
        self._since_s = started_s
        self._started_s = started_s
        self._answers_before = 0
        self.stage = Stage.WARM_UP
        self.gave_up = ""

    def tick(self, now_s: float, workers: Iterable[Counts]) -> None:
        """Advance the stage if its condition is met. Called often."""
        counts = list(workers)
        if self.stage is not Stage.DRAIN and _all_fail(counts):
            self.gave_up = next(c.last_error for c in counts if c.last_error)
            self._emit("gave_up", reason=self.gave_up)
            self._enter(Stage.DRAIN, now_s)
        match self.stage:
            case Stage.WARM_UP:
                if now_s - self._started_s >= self._stages.warm_up_s:
                    self._enter(Stage.RAMP, now_s)
                    self.tick(now_s, counts)
            case Stage.RAMP:
                if self._ramp_is_over(now_s, counts):
                    self._answers_before = _answers(counts)
                    self._enter(Stage.WINDOW, now_s)
            case Stage.WINDOW:
                if self._window_is_over(now_s, counts):
                    self._enter(Stage.TAIL, now_s)
            case Stage.TAIL:
                if now_s - self._since_s >= self._stages.tail_s:
                    self._enter(Stage.DRAIN, now_s)
            case Stage.DRAIN:
                pass  # never left

    def drained(self, now_s: float, workers: Iterable[Counts]) -> bool:
        """Whether the cell is over: every worker finished, or the drain has lasted too long."""
        if self.stage is not Stage.DRAIN:
            return False
        return all(c.finished for c in workers) or now_s - self._since_s > self._stages.drain_limit_s

    def _ramp_is_over(self, now_s: float, counts: list[Counts]) -> bool:
        if self._streams is not None:
            asked = self._streams if self._stages.requests is None else self._stages.requests
            return sum(c.measured_streams for c in counts) >= min(self._streams, asked)
        return now_s - self._since_s >= self._stages.ramp_s

    def _window_is_over(self, now_s: float, counts: list[Counts]) -> bool:
        in_stage_s = now_s - self._since_s
        out_of_prompts = [c.exhausted for c in counts]
        exhausted = any(out_of_prompts) if self._first_ends else bool(counts) and all(out_of_prompts)
        if self._stages.requests is not None:
            exhausted = exhausted and all(c.in_flight == 0 for c in counts)
        enough = _answers(counts) - self._answers_before >= self._stages.completions
        return (
            exhausted
            or in_stage_s >= self._stages.window_limit_s
            or (in_stage_s >= self._stages.window_s and enough and self._stages.requests is None)
        )

    def _enter(self, stage: Stage, now_s: float) -> None:
        self.stage = stage
        self._since_s = now_s
        self._emit("stage", stage=str(stage), at_s=now_s)


def _answers(counts: Iterable[Counts]) -> int:
    return sum(c.measured_answers for c in counts)


def _all_fail(counts: list[Counts]) -> bool:
    """Nothing but failures has come back for a while, at every worker that had anything back."""
    heard = [c for c in counts if c.requests]
    answered = any(c.requests > c.failed for c in heard)
    patience_s = GIVE_UP_AFTER_ANSWERS_S if answered else GIVE_UP_AFTER_S
    return bool(heard) and all(
        c.failures_in_a_row >= FAILURES_BEFORE_GIVING_UP and c.failing_for_s >= patience_s for c in heard
    )
