from typing import Any

from loadtest.config import ClosedLoop, LoadSpec, OpenLoop, Output, RateSegment, Stages
from loadtest.load_spec_examples import load_spec
from loadtest.stages import (
    FAILURES_BEFORE_GIVING_UP,
    GIVE_UP_AFTER_ANSWERS_S,
    GIVE_UP_AFTER_S,
    Counts,
    Stage,
    StageClock,
)

STAGES = Stages(
    warm_up_s=2.0,
    ramp_s=1.0,
    window_s=10.0,
    window_limit_s=30.0,
    completions=6,
    tail_s=0.5,
    drain_limit_s=5.0,
)
OPEN = OpenLoop((RateSegment(5.0, 5.0, 0.0),))


class Clock:
    """A stage clock that is ticked every 0.1 s until an instant."""

    def __init__(self, spec: LoadSpec) -> None:
        self.events: list[dict[str, Any]] = []
        self.clock = StageClock(
            spec, emit=lambda event, **v: self.events.append({"event": event, **v}), started_s=0.0
        )
        self.now_s = 0.0

    def until(self, at_s: float, *workers: Counts) -> Stage:
        while self.now_s < at_s:
            self.now_s = round(self.now_s + 0.1, 6)
            self.clock.tick(self.now_s, workers)
        return self.clock.stage


def test_a_closed_loops_window_opens_when_every_stream_of_every_worker_is_on_measured_prompts() -> None:
    clock = Clock(load_spec(arrivals=ClosedLoop(4), stages=STAGES))
    one, two = Counts(measured_streams=0), Counts(measured_streams=0)
    assert clock.until(1.9, one, two) is Stage.WARM_UP
    assert clock.until(2.5, one, two) is Stage.RAMP
    one.measured_streams, two.measured_streams = 2, 1
    assert clock.until(9.0, one, two) is Stage.RAMP
    two.measured_streams = 2
    assert clock.until(9.2, one, two) is Stage.WINDOW


def test_the_window_waits_for_answers_but_not_for_ever() -> None:
    clock = Clock(load_spec(arrivals=OPEN, stages=STAGES))
    worker = Counts(measured_answers=5)
    assert clock.until(3.3, worker) is Stage.WINDOW, "the ramp lasts a second"
    assert clock.until(14.0, worker) is Stage.WINDOW
    worker.measured_answers = 11  # six more than when the window opened
    assert clock.until(14.2, worker) is Stage.TAIL
    late = Clock(load_spec(arrivals=OPEN, stages=STAGES))
    assert late.until(32.0, Counts()) is Stage.WINDOW
    assert late.until(33.3, Counts()) is Stage.TAIL


def test_exhausted_arrivals_end_the_window() -> None:
    clock = Clock(load_spec(arrivals=OPEN, stages=STAGES))
    assert clock.until(5.0, Counts(), Counts(exhausted=True)) is Stage.WINDOW, "one worker still has some"
    assert clock.until(5.2, Counts(exhausted=True), Counts(exhausted=True)) is Stage.TAIL


def test_a_window_of_natural_lengths_ends_with_the_first_that_has_no_prompt_left() -> None:
    natural = load_spec(arrivals=ClosedLoop(2), output=Output("natural", 40), stages=STAGES)
    clock = Clock(natural)
    streams = [Counts(measured_streams=1), Counts(measured_streams=1)]
    assert clock.until(5.0, *streams) is Stage.WINDOW
    streams[1].exhausted = True
    assert clock.until(5.2, *streams) is Stage.TAIL


def test_a_number_of_requests_is_answered_whole_before_the_window_closes() -> None:
    stages = Stages(warm_up_s=0.0, window_s=1.0, window_limit_s=100.0, requests=20)
    clock = Clock(load_spec(arrivals=OPEN, stages=stages))
    assert clock.until(5.0, Counts(measured_answers=50)) is Stage.WINDOW
    assert clock.until(6.0, Counts(exhausted=True, in_flight=3)) is Stage.WINDOW
    assert clock.until(6.2, Counts(exhausted=True)) is Stage.TAIL


def test_the_drain_ends_when_all_have_finished_or_with_its_limit() -> None:
    clock = Clock(load_spec(arrivals=OPEN, stages=STAGES))
    done, busy = Counts(exhausted=True, finished=True), Counts(exhausted=True)
    clock.until(4.5, done, busy)
    assert clock.clock.stage is Stage.DRAIN
    assert not clock.clock.drained(4.5, [done, busy])
    assert clock.clock.drained(4.5, [done, done])
    assert clock.clock.drained(11.0, [done, busy])


def test_nothing_but_failures_gives_up_once_and_says_why() -> None:
    clock = Clock(load_spec(arrivals=OPEN, stages=STAGES))
    failing = Counts(requests=9, failed=9, failures_in_a_row=FAILURES_BEFORE_GIVING_UP, last_error="refused")
    healthy = Counts(requests=9)
    assert clock.until(0.5, failing) is Stage.WARM_UP, "a burst of failures is no outage"
    failing.failing_for_s = GIVE_UP_AFTER_S
    assert clock.until(1.0, failing, healthy) is Stage.WARM_UP, "one worker gets answers"
    assert clock.until(1.2, failing, Counts()) is Stage.DRAIN, "the other has heard nothing yet"
    clock.until(3.0, failing, failing)
    assert [e for e in clock.events if e["event"] == "gave_up"] == [{"event": "gave_up", "reason": "refused"}]


def test_every_change_is_told_with_its_instant() -> None:
    clock = Clock(load_spec(arrivals=OPEN, stages=STAGES))
    clock.until(20.0, Counts(measured_answers=0))
    clock.until(40.0, Counts(measured_answers=6))
    assert [e["stage"] for e in clock.events] == ["ramp", "window", "tail", "drain"]
    instants = [e["at_s"] for e in clock.events]
    assert instants == sorted(instants)
    assert instants[:2] == [2.0, 3.0]


def test_a_server_that_has_answered_before_is_given_more_time() -> None:
    clock = Clock(load_spec(arrivals=OPEN, stages=STAGES))
    failing = Counts(
        requests=20, failed=12, failures_in_a_row=12, failing_for_s=GIVE_UP_AFTER_S + 1, last_error="reset"
    )
    assert clock.until(1.0, failing) is Stage.WARM_UP
    failing.failing_for_s = GIVE_UP_AFTER_ANSWERS_S
    assert clock.until(1.2, failing) is Stage.DRAIN
