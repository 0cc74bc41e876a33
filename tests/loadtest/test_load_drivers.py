"""Closed streams and open arrivals on a scheduler and a clock of the test's own, against answers that take no time."""

import heapq
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import greenlet
import pytest

from accounting.errors import ConfigError
from accounting.record_examples import failed, record
from accounting.records import Phase, RequestRecord
from loadtest.asking import Prompts, prompts_for
from loadtest.cell_schedule import measured_schedule, warm_up_schedule
from loadtest.closed_streams import ClosedStreams
from loadtest.config import ClosedLoop, LoadSpec, OpenLoop, Output, RateSegment, Replay, Stages
from loadtest.load_spec_examples import load_spec
from loadtest.open_arrivals import OpenArrivals
from loadtest.stages import Stage
from loadtest.streaming_client import Send
from loadtest.worker import Worker
from loadtest.workloads import Message, Prompt, Split, load_workload


class Simulation:
    """Greenlets that sleep on a simulated clock."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._waiting: list[tuple[float, int, Any]] = []
        self._numbers = itertools.count()
        self._main = greenlet.getcurrent()

    def spawn(self, run: Callable[..., None], *arguments: Any) -> object:
        made = greenlet.greenlet(lambda: run(*arguments), self._main)
        heapq.heappush(self._waiting, (self.now_s, next(self._numbers), made))
        return made

    def sleep_until(self, at_s: float) -> None:
        if at_s > self.now_s:
            heapq.heappush(self._waiting, (at_s, next(self._numbers), greenlet.getcurrent()))
            self._main.switch()

    def run(self, until_s: float) -> None:
        while self._waiting and self._waiting[0][0] <= until_s:
            at_s, _, sleeper = heapq.heappop(self._waiting)
            self.now_s = max(self.now_s, at_s)
            sleeper.switch()


class Client:
    """Answers after `answer_s`, or fails."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.text = "answer"

    def close(self) -> None:
        pass

    def run(self, send: Send, sink: Callable[[RequestRecord], None]) -> RequestRecord:
        world = self.world
        world.sends.append(send)
        sent_s = world.simulation.now_s
        made = world.answer(send)
        world.simulation.sleep_until(sent_s + world.answer_s)
        made = replace(
            made, intended_send_s=send.intended_send_s, sent_s=sent_s, end_s=world.simulation.now_s
        )
        sink(made)
        return made


class World:
    """One worker among several, driven on the simulated clock."""

    def __init__(
        self, spec: LoadSpec, *, index: int = 0, measured: list[Prompt] | None = None, answer_s: float = 1.0
    ) -> None:
        self.simulation = Simulation()
        self.answer_s = answer_s
        self.answer: Callable[[Send], RequestRecord] = lambda _send: record([(0.1, 1)])
        self.sends: list[Send] = []
        self.records: list[RequestRecord] = []
        prompts = Prompts(
            {
                Phase.WARM_UP: prompt_list(Split.WARM_UP, 30),
                Phase.MEASURED: measured or prompt_list(Split.MEASURED, 200),
            }
        )
        self.worker = Worker(spec, prompts, self.simulation, index=index, sink=self.records.append)
        self.worker.asker.client = lambda: Client(self)  # type: ignore[method-assign, assignment, return-value]
        if isinstance(spec.arrivals, ClosedLoop):
            self.driver: ClosedStreams | OpenArrivals = ClosedStreams(self.worker, spec.arrivals)
        else:
            self.driver = OpenArrivals(
                self.worker,
                warm_up=warm_up_schedule(spec, prompts, worker=index),
                measured=measured_schedule(spec, prompts, worker=index),
            )
        self.driver.start(0.0)

    def go(self, stage: Stage, until_s: float) -> None:
        self.worker.stage = stage
        self.simulation.run(until_s)

    def sent(self, phase: Phase) -> list[Send]:
        return [s for s in self.sends if s.phase is phase]


def prompt_list(split: Split, count: int, **more: Any) -> list[Prompt]:
    return [
        Prompt(f"{split}-{i}", "chat", "t", split, (Message("user", "hi"),), **more) for i in range(count)
    ]


def test_streams_warm_up_with_warm_up_prompts_and_measure_with_measured_ones() -> None:
    world = World(load_spec(arrivals=ClosedLoop(3)))
    world.go(Stage.WARM_UP, 2.5)
    assert {s.prompt_id.split("-")[0] for s in world.sends} == {"warm_up"}
    world.go(Stage.RAMP, 3.5)
    assert world.worker.counts.measured_streams == 3
    world.go(Stage.DRAIN, 10.0)
    assert world.worker.report().finished
    assert {s.prompt_id.split("-")[0] for s in world.sent(Phase.MEASURED)} == {"measured"}
    assert len(world.records) == len(world.sends)


def test_a_stream_measures_only_after_an_answer_however_late() -> None:
    world = World(load_spec(arrivals=ClosedLoop(2)), answer_s=5.0)
    world.go(Stage.WARM_UP, 1.0)
    world.go(Stage.RAMP, 4.9)
    assert not world.sent(Phase.MEASURED)
    world.simulation.run(5.2)
    assert len(world.sent(Phase.MEASURED)) == 2


def test_streams_start_one_after_the_other_so_that_they_do_not_march_in_step() -> None:
    world = World(
        load_spec(arrivals=ClosedLoop(4), stages=Stages(warm_up_s=2.0, window_s=1.0, window_limit_s=1.0))
    )
    world.go(Stage.WARM_UP, 0.99)
    assert [s.intended_send_s for s in world.sends] == [0.0, 0.25, 0.5, 0.75]


def test_latency_starts_when_the_stream_became_free_and_has_thought() -> None:
    world = World(load_spec(arrivals=ClosedLoop(1, think_time_s=0.25)))
    world.go(Stage.WARM_UP, 0.5)
    world.go(Stage.WINDOW, 5.0)
    assert [s.intended_send_s for s in world.sent(Phase.MEASURED)][:3] == [1.0, 2.25, 3.5]


@pytest.mark.parametrize("processes", [2, 3, 8])
def test_one_process_or_several_ask_the_same_prompts_in_a_closed_loop(processes: int) -> None:
    def asked(count: int) -> set[tuple[int, str, float]]:
        found = set()
        for index in range(count):
            world = World(load_spec(arrivals=ClosedLoop(8), processes=count), index=index)
            world.go(Stage.WARM_UP, 1.5)
            world.go(Stage.WINDOW, 9.5)
            found |= {(s.stream, s.prompt_id, s.intended_send_s) for s in world.sent(Phase.MEASURED)}
        return found

    assert asked(processes) == asked(1)
    assert len({prompt for _, prompt, _ in asked(1)}) == len(asked(1)), "no prompt twice"


@pytest.mark.parametrize("processes", [2, 3, 8])
@pytest.mark.parametrize("cv", [0.0, 1.0, 3.0])
def test_one_process_or_several_send_the_same_schedule_in_an_open_loop(processes: int, cv: float) -> None:
    def sent(count: int) -> list[tuple[float, Phase, str]]:
        found = []
        for index in range(count):
            spec = load_spec(
                arrivals=OpenLoop((RateSegment(2.0, 20.0, 5.0), RateSegment(20.0, 20.0, 0.0)), cv),
                processes=count,
                stages=Stages(warm_up_s=2.0, window_s=5.0, window_limit_s=5.0),
            )
            world = World(spec, index=index)
            world.go(Stage.WINDOW, 9.0)
            found += [(s.intended_send_s, s.phase, s.prompt_id) for s in world.sends]
        return sorted(found)

    assert sent(processes) == sent(1)
    assert len(sent(1)) > 40


def test_an_open_loop_does_not_wait_for_answers() -> None:
    spec = load_spec(
        arrivals=OpenLoop((RateSegment(10.0, 10.0, 0.0),), 0.0),
        stages=Stages(warm_up_s=0.0, window_s=5.0, window_limit_s=5.0),
    )
    world = World(spec, answer_s=100.0)
    world.go(Stage.WINDOW, 3.0)
    assert len(world.sends) == 30
    assert world.worker.counts.in_flight == 30
    world.go(Stage.DRAIN, 50.0)
    assert len(world.sends) == 30
    assert not world.worker.report().finished
    world.simulation.run(200.0)
    assert world.worker.report().finished


def test_exactly_so_many_requests_as_were_asked_for() -> None:
    closed = load_spec(
        arrivals=ClosedLoop(3), stages=Stages(warm_up_s=0.0, window_s=1.0, window_limit_s=99.0, requests=10)
    )
    world = World(closed)
    world.go(Stage.RAMP, 0.5)
    world.go(Stage.WINDOW, 50.0)
    assert len(world.sent(Phase.MEASURED)) == 10
    assert world.worker.counts.exhausted
    open_spec = load_spec(arrivals=OpenLoop((RateSegment(10.0, 10.0, 0.0),)), stages=closed.stages)
    world = World(open_spec)
    world.go(Stage.WINDOW, 50.0)
    assert len(world.sent(Phase.MEASURED)) == 10
    assert world.worker.counts.exhausted


def natural_spec(path: Path, known: int, **changes: Any) -> LoadSpec:
    """Prompts `measured-0` to `measured-<known - 1>` have a natural length: seven tokens and their number."""
    path.write_text(json.dumps({"lengths": {f"measured-{n}": 7 + n for n in range(known)}}))
    return load_spec(output=Output("natural", 40, str(path)), **changes)


def test_prompts_of_natural_length_are_sent_once_and_the_first_stream_without_one_is_exhausted(
    tmp_path: Path,
) -> None:
    spec = natural_spec(tmp_path / "lengths.json", 5, arrivals=ClosedLoop(2))
    world = World(spec, measured=prompt_list(Split.MEASURED, 5))
    world.go(Stage.WARM_UP, 0.5)
    world.go(Stage.WINDOW, 3.5)
    assert world.worker.counts.exhausted, "the second stream has sent its two, the first still has one"
    world.go(Stage.WINDOW, 20.0)
    measured = world.sent(Phase.MEASURED)
    assert sorted(s.prompt_id for s in measured) == [f"measured-{n}" for n in range(5)]
    assert {s.prompt_id: s.expected_tokens for s in measured}["measured-3"] == 10


def test_a_process_without_a_stream_does_not_end_a_window_of_natural_lengths(tmp_path: Path) -> None:
    idle = World(natural_spec(tmp_path / "lengths.json", 5, arrivals=ClosedLoop(1), processes=2), index=1)
    assert not idle.worker.counts.exhausted, "it would end the window of the process that has the stream"
    assert World(load_spec(arrivals=ClosedLoop(1), processes=2), index=1).worker.counts.exhausted


def test_without_natural_lengths_prompts_begin_again_and_say_so() -> None:
    world = World(load_spec(arrivals=ClosedLoop(2)), measured=prompt_list(Split.MEASURED, 5))
    world.go(Stage.WINDOW, 20.0)
    assert max(s.prompt_repeat for s in world.sent(Phase.MEASURED)) > 1
    assert not world.worker.counts.exhausted


def test_a_list_of_prompts_is_sent_in_its_order_until_all_streams_have_ended(tmp_path: Path) -> None:
    everything = load_workload("chat", seed=1).of(Split.MEASURED)
    listed = [everything[n].prompt_id for n in (70, 3, 11, 4)]
    (tmp_path / "prompts.json").write_text(json.dumps(listed))
    spec = load_spec(arrivals=ClosedLoop(3), prompts_path=str(tmp_path / "prompts.json"))
    prompts = prompts_for(spec, keep_order=False)
    assert [p.prompt_id for p in prompts.of(Phase.MEASURED)] == listed
    world = World(spec, measured=list(prompts.of(Phase.MEASURED)))
    world.go(Stage.WARM_UP, 0.5)
    world.go(Stage.WINDOW, 2.5)
    assert not world.worker.counts.exhausted, "one stream has a second prompt"
    world.go(Stage.WINDOW, 20.0)
    assert [s.prompt_id for s in world.sent(Phase.MEASURED)] == listed
    assert world.worker.counts.exhausted
    (tmp_path / "prompts.json").write_text('["nobody"]')
    with pytest.raises(ConfigError, match="nobody"):
        prompts_for(spec, keep_order=False)


def test_only_prompts_whose_every_turn_has_a_known_length_are_measured(tmp_path: Path) -> None:
    lines = [{"prompt": f"question {n}", "turns": ["and then?"], "split": "measured"} for n in range(3)]
    lines.append({"prompt": "warm", "split": "warm_up"})
    path = tmp_path / "talk.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    first, second, _ = (p.prompt_id for p in load_workload(str(path), seed=1).of(Split.MEASURED))
    lengths = {first: 5, f"{first}#1": 6, second: 7}
    (tmp_path / "lengths.json").write_text(json.dumps({"lengths": lengths}))
    output = Output("natural", 40, str(tmp_path / "lengths.json"))
    spec = load_spec(arrivals=ClosedLoop(1), workload=str(path), output=output)
    prompts = prompts_for(spec, keep_order=False)
    assert [p.prompt_id for p in prompts.of(Phase.MEASURED)] == [first]
    with pytest.raises(ConfigError, match="of 1 prompts is known here; this load needs 2"):
        prompts_for(load_spec(workload=str(path), output=output), keep_order=False)


def test_a_replay_sends_each_prompt_at_its_own_time() -> None:
    times = [0.0, 0.5, 0.5, 4.0]
    trace = [replace(p, at_s=at) for p, at in zip(prompt_list(Split.MEASURED, 4), times, strict=True)]
    spec = load_spec(
        arrivals=Replay(speed=2.0), stages=Stages(warm_up_s=1.0, window_s=99.0, window_limit_s=99.0)
    )
    world = World(spec, measured=trace)
    world.go(Stage.WINDOW, 20.0)
    measured = world.sent(Phase.MEASURED)
    assert [s.intended_send_s for s in measured] == [1.0, 1.25, 1.25, 3.0]
    assert [s.prompt_id for s in measured] == [p.prompt_id for p in trace]
    assert world.worker.counts.exhausted


def test_a_sessions_next_turn_waits_for_the_answer_and_quotes_it() -> None:
    talk = [replace(p, turns=("And then?", "Why?")) for p in prompt_list(Split.MEASURED, 20)]
    spec = load_spec(arrivals=ClosedLoop(1, think_time_s=0.5))
    world = World(spec, measured=talk)
    world.go(Stage.WARM_UP, 0.5)
    world.go(Stage.WINDOW, 5.6)
    turns = world.sent(Phase.MEASURED)[:4]
    assert [(s.session, s.turn) for s in turns] == [
        ("measured-0", 0),
        ("measured-0", 1),
        ("measured-0", 2),
        ("measured-1", 0),
    ]
    assert [s.intended_send_s for s in turns] == [1.0, 2.5, 4.0, 5.5]
    assert b"answer" not in turns[0].body
    assert turns[1].body.count(b"answer") == 1
    assert b"And then?" in turns[1].body
    assert turns[2].body.count(b"answer") == 2
    assert [s.keep_text for s in turns] == [True, True, False, True]


def test_a_failed_turn_ends_its_session_and_every_send_is_one_record() -> None:
    talk = [replace(p, turns=("And then?",)) for p in prompt_list(Split.MEASURED, 20)]
    world = World(load_spec(arrivals=ClosedLoop(1)), measured=talk)
    world.go(Stage.WARM_UP, 0.5)
    world.answer = lambda _send: failed()
    world.go(Stage.WINDOW, 6.0)
    assert {s.turn for s in world.sent(Phase.MEASURED)} == {0}
    world.go(Stage.DRAIN, 60.0)
    assert len(world.records) == len(world.sends)


def test_a_stream_waits_as_long_as_a_busy_server_asks() -> None:
    world = World(load_spec(arrivals=ClosedLoop(1)))
    world.answer = lambda _send: failed(http_status=429, retry_after_s=4.0)
    world.go(Stage.WARM_UP, 20.0)
    assert [s.intended_send_s for s in world.sends] == [0.0, 5.0, 10.0, 15.0, 20.0]


def test_failures_without_a_wish_back_off_longer_and_longer() -> None:
    world = World(load_spec(arrivals=ClosedLoop(1)), answer_s=0.0)
    world.answer = lambda _send: failed()
    world.go(Stage.WARM_UP, 2.0)
    sends = [s.intended_send_s for s in world.sends]
    gaps = [round(later - earlier, 6) for earlier, later in itertools.pairwise(sends)]
    assert gaps[:4] == [0.1, 0.2, 0.3, 0.4]
