from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.record_examples import failed, record
from accounting.records import Phase
from loadtest.closed_loop import FAILURES_BEFORE_GIVING_UP, ClosedLoop, Stage
from loadtest.config import LoadSpec
from loadtest.workloads import Message, Prompt, Split


def spec(**changes: Any) -> LoadSpec:
    values: dict[str, Any] = {
        "base_url": "http://127.0.0.1:1",
        "model": "m",
        "streams": 2,
        "workload": "chat",
        "workload_seed": 1,
        "order_seed": 1,
        "slice_index": 0,
        "slice_count": 1,
        "max_tokens": 40,
        "ignore_eos": False,
        "warm_up_s": 2.0,
        "window_s": 10.0,
        "window_limit_s": 60.0,
        "completions_per_stream": 3,
        "request_timeout_s": 60.0,
        "records_path": "unused",
    }
    return LoadSpec(**{**values, **changes})


def prompts(split: Split, count: int) -> list[Prompt]:
    return [Prompt(f"{split}-{i}", "chat", str(split), split, (Message("user", "hi"),)) for i in range(count)]


class Drive:
    """Plays N streams against the loop on a clock of its own; answers take what `answer_s` says."""

    def __init__(self, load: LoadSpec, answer_s: Any = lambda _n: 1.0, measured: int = 500) -> None:
        self.events: list[dict[str, Any]] = []
        self.loop = ClosedLoop(
            load,
            warm_up=prompts(Split.WARM_UP, 50),
            measured=prompts(Split.MEASURED, measured),
            emit=lambda event, **values: self.events.append({"event": event, **values}),
            now_s=0.0,
        )
        self.sent: list[tuple[float, Any]] = []
        self.answer_s = answer_s
        self._streams = load.streams

    def run(self, result: Any = lambda: record([(0.1, 5)]), until_s: float = 500.0) -> None:
        free = dict.fromkeys(range(self._streams), 0.0)
        while free:
            stream = min(free, key=lambda s: free[s])
            now = free.pop(stream)
            assert now < until_s, "the loop does not end"
            following = self.loop.next_request(stream, now)
            if following is None:
                continue
            self.sent.append((now, following))
            done = max(now, following.not_before_s) + self.answer_s(following.number)
            self.loop.completed(stream, result(), done)
            free[stream] = done

    def stages(self) -> dict[str, float]:
        return {e["stage"]: e["at_s"] for e in self.events if e["event"] == "stage"}


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20), st.floats(0.05, 4.0), st.integers(0, 3))
def test_stages_come_in_order_and_the_window_has_its_length(streams: int, answer_s: float, skew: int) -> None:
    drive = Drive(spec(streams=streams), lambda n: answer_s * (1 + (n * 7 % 5) * skew / 10))
    drive.run()
    at = drive.stages()
    assert list(at) == ["ramp", "window", "tail", "drain"]
    assert at["ramp"] >= 2.0
    assert at["tail"] - at["window"] >= 10.0
    assert drive.loop.finished


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.floats(0.05, 3.0), st.integers(1, 7))
def test_no_warm_up_prompt_is_sent_after_the_window_opened(streams: int, answer_s: float, skew: int) -> None:
    """Streams become warm at different times: the window waits for the slowest."""
    drive = Drive(spec(streams=streams), lambda n: answer_s * (1 + n % skew))
    drive.run()
    opened = drive.stages()["window"]
    assert all(f.phase is Phase.MEASURED for at, f in drive.sent if at >= opened)
    in_flight = [f for at, f in drive.sent if at < opened and at + drive.answer_s(f.number) > opened]
    assert all(f.phase is Phase.MEASURED for f in in_flight)
    assert all(f.prompt.split is Split.WARM_UP for _, f in drive.sent if f.phase is Phase.WARM_UP)


def test_every_request_takes_the_next_prompt_and_none_twice() -> None:
    drive = Drive(spec())
    drive.run()
    used = [f.prompt.prompt_id for _, f in drive.sent if f.phase is Phase.MEASURED]
    assert used == [f"{Split.MEASURED}-{i}" for i in range(len(used))]


def test_a_used_up_workload_repeats_and_says_so() -> None:
    drive = Drive(spec(), measured=5)
    drive.run()
    assert {f.prompt_repeat for _, f in drive.sent if f.phase is Phase.MEASURED} > {0, 1}


def test_the_window_waits_for_its_completions_but_not_for_ever() -> None:
    slow = Drive(spec(streams=1, window_s=10.0), lambda _n: 8.0)
    slow.run()
    length = slow.stages()["tail"] - slow.stages()["window"]
    assert 24.0 <= length < 60.0
    stuck = Drive(spec(streams=1, window_s=10.0, window_limit_s=20.0), lambda _n: 15.0)
    stuck.run()
    assert stuck.stages()["tail"] - stuck.stages()["window"] < 40.0


def test_intended_sends_are_the_instants_at_which_the_stream_became_free() -> None:
    drive = Drive(spec(streams=1), lambda _n: 0.5)
    drive.run()
    intended = [f.intended_send_s for _, f in drive.sent]
    assert intended == pytest.approx([0.5 * i for i in range(len(intended))])


def test_nothing_but_failures_is_given_up_with_the_servers_words() -> None:
    drive = Drive(spec(streams=1), lambda _n: 0.01)
    drive.run(result=lambda: failed(error="HTTP 401: no key"))
    gave_up = [e for e in drive.events if e["event"] == "gave_up"]
    assert [e["reason"] for e in gave_up] == ["HTTP 401: no key"]
    assert len(drive.sent) == FAILURES_BEFORE_GIVING_UP
    assert drive.loop.stage is Stage.DRAIN


def test_failing_streams_back_off() -> None:
    drive = Drive(spec(streams=1), lambda _n: 0.01)
    drive.run(result=failed)
    waits = [f.not_before_s - at for at, f in drive.sent]
    assert waits[0] == 0.0
    assert waits[1:] == sorted(waits[1:])
    assert waits[-1] > 0.5


def test_warm_up_answers_are_cut_at_different_lengths_and_measured_ones_never() -> None:
    drive = Drive(spec(streams=4))
    drive.run()
    cuts = {f.max_tokens for _, f in drive.sent if f.phase is Phase.WARM_UP}
    assert cuts == {12, 15, 18, 20}
    assert {f.max_tokens for _, f in drive.sent if f.phase is Phase.MEASURED} == {40}
