"""The closed loop: N streams, each sends its next prompt as soon as its answer is complete.

A state machine on a clock that is passed in; no I/O. Phases of a cell:

    warm-up     warm-up prompts at the tested concurrency; answers are cut short at a different length for
                each stream, so that the streams do not march in step
    ramp        a stream that has had an answer, once `warm_up_s` have passed, goes on with measured
                prompts; the window opens when all streams have
    window      at least `window_s` and `completions_per_stream` x streams answers, at most `window_limit_s`
    tail        load goes on for `tail_s`, so that the window's end is scraped under load
    drain       no new request; the cell ends when the last answer is complete

Intended send times: the instant at which the stream became free. A stream that failed waits a little
before it tries again, and the loop gives up when nothing but failures comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from accounting.records import Phase, RequestRecord
from loadtest.config import LoadSpec
from loadtest.workloads.prompt import Prompt

FAILURES_BEFORE_GIVING_UP = 8
BACK_OFF_S = 0.1


class Stage(StrEnum):
    """Where the cell is."""

    WARM_UP = "warm_up"
    RAMP = "ramp"
    WINDOW = "window"
    TAIL = "tail"
    DRAIN = "drain"


@dataclass(frozen=True, slots=True)
class NextRequest:
    """What a stream sends next."""

    number: int
    phase: Phase
    prompt: Prompt
    prompt_repeat: int
    max_tokens: int
    intended_send_s: float
    not_before_s: float


class ClosedLoop:
    """Decides what each stream sends and when the window opens and closes."""

    def __init__(
        self,
        spec: LoadSpec,
        *,
        warm_up: Sequence[Prompt],
        measured: Sequence[Prompt],
        emit: Callable[..., None],
        now_s: float,
    ) -> None:
        self._spec = spec
        self._prompts = {Phase.WARM_UP: warm_up, Phase.MEASURED: measured}
        self._used = {Phase.WARM_UP: 0, Phase.MEASURED: 0}
        self._emit = emit
        self._started_s = now_s
        self._stage_since_s = now_s
        self.stage = Stage.WARM_UP
        self._free_since_s = [now_s] * spec.streams
        self._answered: set[int] = set()
        self._on_measured: set[int] = set()
        self._completions_in_window = 0
        self._failures_in_a_row = 0
        self._number = 0
        self._retired: set[int] = set()
        self.output_tokens = 0
        self.requests = 0
        self.failed = 0

    @property
    def finished(self) -> bool:
        """Whether every stream has retired."""
        return len(self._retired) == self._spec.streams

    def next_request(self, stream: int, now_s: float) -> NextRequest | None:
        """The stream's next request; None retires the stream."""
        self.tick(now_s)
        if self.stage is Stage.DRAIN:
            self._retired.add(stream)
            return None
        phase = self._phase_of(stream, now_s)
        prompts = self._prompts[phase]
        used = self._used[phase]
        self._used[phase] += 1
        self._number += 1
        free_s = self._free_since_s[stream]
        back_off_s = BACK_OFF_S * min(self._failures_in_a_row, 8)
        if phase is Phase.MEASURED:
            self._on_measured.add(stream)
            if self.stage is Stage.WARM_UP:
                self._enter(Stage.RAMP, now_s)
            self.tick(now_s)
        return NextRequest(
            number=self._number,
            phase=phase,
            prompt=prompts[used % len(prompts)],
            prompt_repeat=used // len(prompts),
            max_tokens=self._warm_up_tokens(stream) if phase is Phase.WARM_UP else self._spec.max_tokens,
            intended_send_s=free_s + back_off_s,
            not_before_s=free_s + back_off_s,
        )

    def _phase_of(self, stream: int, now_s: float) -> Phase:
        warm = now_s - self._started_s >= self._spec.warm_up_s and stream in self._answered
        return Phase.MEASURED if warm else Phase.WARM_UP

    def _warm_up_tokens(self, stream: int) -> int:
        """Between a quarter and a half of an answer, spread over the streams."""
        share = 0.25 + 0.25 * (stream + 1) / self._spec.streams
        return max(1, round(self._spec.max_tokens * share))

    def completed(self, stream: int, record: RequestRecord, now_s: float) -> None:
        """Take a record; `now_s` is when the stream became free again."""
        self._free_since_s[stream] = now_s
        self.requests += 1
        self.output_tokens += record.completion_tokens or 0
        if record.ok:
            self._failures_in_a_row = 0
            self._answered.add(stream)
            self._completions_in_window += self.stage is Stage.WINDOW
        else:
            self.failed += 1
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= FAILURES_BEFORE_GIVING_UP and self.stage is not Stage.DRAIN:
                self._emit("gave_up", reason=record.error, outcome=str(record.outcome))
                self._enter(Stage.DRAIN, now_s)
        self.tick(now_s)

    def tick(self, now_s: float) -> None:
        """Advance the stage if its condition is met. Called often, also between answers."""
        in_stage_s = now_s - self._stage_since_s
        match self.stage:
            case Stage.RAMP:
                if len(self._on_measured) == self._spec.streams:
                    self._enter(Stage.WINDOW, now_s)
            case Stage.WINDOW:
                enough = self._spec.completions_per_stream * self._spec.streams
                if in_stage_s >= self._spec.window_limit_s or (
                    in_stage_s >= self._spec.window_s and self._completions_in_window >= enough
                ):
                    self._enter(Stage.TAIL, now_s)
            case Stage.TAIL:
                if in_stage_s >= self._spec.tail_s:
                    self._enter(Stage.DRAIN, now_s)
            case Stage.WARM_UP | Stage.DRAIN:
                pass  # left when a stream sends its first measured request; never left

    def _enter(self, stage: Stage, now_s: float) -> None:
        self.stage = stage
        self._stage_since_s = now_s
        self._emit("stage", stage=str(stage), at_s=now_s)
