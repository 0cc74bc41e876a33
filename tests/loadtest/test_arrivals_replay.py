"""Replaying a trace: which part, how fast, in which order, and what is no trace."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.errors import ConfigError
from loadtest.arrivals import replay_schedule
from loadtest.config import Replay
from loadtest.workloads import Message, Prompt, Split


def trace(*times: float | None) -> list[Prompt]:
    return [
        Prompt(f"p{index}", "trace", "", Split.MEASURED, (Message("user", "x"),), at_s=at_s)
        for index, at_s in enumerate(times)
    ]


def test_a_whole_trace_at_its_own_pace() -> None:
    schedule = replay_schedule(trace(0.0, 1.5, 4.0), Replay())
    assert list(schedule.arrivals()) == [(0, 0.0), (1, 1.5), (2, 4.0)]


def test_a_part_twice_as_fast() -> None:
    """Start, duration in the trace's seconds; the end is not taken."""
    schedule = replay_schedule(trace(0, 10, 15, 20, 30), Replay(speed=2, start_s=10, duration_s=10))
    assert list(schedule.arrivals()) == [(1, 0.0), (2, 2.5)]


def test_a_part_keeps_its_silence_at_the_beginning() -> None:
    assert list(replay_schedule(trace(0, 10), Replay(start_s=4)).arrivals()) == [(1, 6.0)]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.floats(0.1, 10))
def test_order_is_by_time_and_ties_keep_the_traces_order(times: list[int], speed: float) -> None:
    """Azure's and Mooncake's stamps are coarse: many requests share one."""
    schedule = list(replay_schedule(trace(*times), Replay(speed=speed)).arrivals())
    assert [index for index, _ in schedule] == sorted(
        range(len(times)), key=lambda index: (times[index], index)
    )
    assert [at_s for _, at_s in schedule] == pytest.approx([times[index] / speed for index, _ in schedule])


def test_prompts_without_times_are_refused_by_name() -> None:
    with pytest.raises(ConfigError) as caught:
        replay_schedule(trace(0.0, None, 2.0), Replay())
    assert "prompt 'p1' has no time of arrival" in caught.value.message
    assert "rate or a number of streams" in caught.value.hint
    with pytest.raises(ConfigError, match="no prompts"):
        replay_schedule([], Replay())


def test_an_empty_part_is_refused_with_what_the_trace_has() -> None:
    with pytest.raises(ConfigError, match="3 arrivals from 0 s to 4 s"):
        replay_schedule(trace(0, 2, 4), Replay(start_s=5))
    with pytest.raises(ConfigError, match=r"nothing arrives from 2\.5 s to 3\.5 s"):
        replay_schedule(trace(0, 2, 4), Replay(start_s=2.5, duration_s=1))


@pytest.mark.parametrize(
    "replay",
    [
        Replay(speed=0), Replay(speed=-1), Replay(speed=math.nan), Replay(speed=math.inf), Replay(start_s=-1),
        Replay(start_s=math.inf), Replay(duration_s=0), Replay(duration_s=math.nan),
    ],
)  # fmt: skip
def test_impossible_replays_are_refused(replay: Replay) -> None:
    with pytest.raises(ConfigError):
        replay_schedule(trace(0, 1), replay)
