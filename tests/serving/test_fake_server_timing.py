"""The pace: deadlines that do not drift, lower bounds kept strictly, upper bounds loosely."""

import asyncio
import itertools
import math
import random
import time
from collections.abc import Iterator
from dataclasses import replace

import httpx
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from accounting.errors import ConfigError
from serving.fake_server import FakeServerConfig, RunningFakeServer, Timing
from serving.fake_server.engine import Engine
from serving.fake_server.metrics_page import MetricsPage
from serving.fake_server.pace_noise import Pace, PaceNoise
from serving.fake_server.request_body import read_text_request
from serving.fake_server.timing import deadlines_s, step_sizes


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """One HTTP client for the whole file: making one is slower than most tests here."""
    with httpx.Client(trust_env=False, timeout=20) as opened:
        yield opened


def arrivals_s(client: httpx.Client, server: RunningFakeServer, tokens: int) -> tuple[float, list[float]]:
    """Seconds after sending at which the head and each content event were read."""
    body = {"prompt": "a b", "stream": True, "max_tokens": tokens, "ignore_eos": True}
    start_s = time.monotonic()
    with client.stream("POST", f"{server.url}/v1/completions", json=body) as response:
        head_s = time.monotonic() - start_s
        events = [time.monotonic() - start_s for line in response.iter_lines() if line.startswith("data: {")]
    return head_s, events


def test_deadlines_are_absolute() -> None:
    """Step n is due at ttft + n * tpot."""
    timing = Timing(ttft_s=0.5, tpot_s=0.1)
    due = list(itertools.islice(deadlines_s(timing, random.Random(0)), 4))
    assert due == pytest.approx([0.5, 0.6, 0.7, 0.8])


def test_jitter_moves_each_deadline_but_never_adds_up_or_goes_back() -> None:
    """However many steps, jitter stays within its bound."""
    timing = Timing(ttft_s=0.5, tpot_s=0.01, jitter_s=0.05)
    due = list(itertools.islice(deadlines_s(timing, random.Random(3)), 1000))
    again = list(itertools.islice(deadlines_s(timing, random.Random(3)), 1000))
    assert due == again
    assert due == sorted(due)
    assert all(abs(due_s - (0.5 + 0.01 * n)) <= 0.05 + 1e-9 for n, due_s in enumerate(due))
    assert len({round(due_s - 0.01 * n, 6) for n, due_s in enumerate(due)}) > 100


@pytest.mark.parametrize(
    ("script", "sizes"), [(1, [1, 1, 1, 1, 1]), (3, [1, 3, 3, 3, 3]), ((1, 4), [1, 1, 4, 1, 4])]
)
def test_the_step_that_reads_the_prompt_yields_one_token(
    script: int | tuple[int, ...], sizes: list[int]
) -> None:
    """The script is of decode steps."""
    assert list(itertools.islice(step_sizes(Timing(tokens_per_chunk=script)), 5)) == sizes


def test_stream_keeps_its_deadlines(client: httpx.Client) -> None:
    """Never early; late by a wake-up, not by a sum of them."""
    timing = Timing(ttft_s=0.3, tpot_s=0.01)
    with RunningFakeServer(FakeServerConfig(timing=timing)) as server:
        client.get(f"{server.url}/health")
        head_s, events_s = arrivals_s(client, server, 40)
    assert len(events_s) == 40
    assert head_s < 0.3
    for step, at_s in enumerate(events_s):
        assert at_s >= 0.3 + 0.01 * step
    assert events_s[-1] < 0.3 + 0.39 + 1.0


def test_late_wake_ups_do_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of 200 sleeps ends 4 ms late on a made-up clock; the last step is still only 4 ms late."""
    now_s = 0.0

    async def oversleep(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds + 0.004

    async def steps_at_s() -> list[float]:
        page = MetricsPage(CollectorRegistry(), config, 0.0)
        engine = Engine(config, page, lambda: now_s)
        asked = read_text_request(b'{"prompt": "a", "max_tokens": 200, "ignore_eos": true}', "m", 999)
        at_s = []
        async with engine.admit(asked) as generation:
            while not generation.finished:
                await generation.next_step()
                at_s.append(now_s)
        return at_s

    config = FakeServerConfig(timing=Timing(ttft_s=0.5, tpot_s=0.01))
    with monkeypatch.context() as patched:
        patched.setattr("asyncio.sleep", oversleep)
        at_s = asyncio.run(steps_at_s())
    assert at_s == pytest.approx([0.504 + 0.01 * step for step in range(200)])


def test_several_tokens_per_chunk_take_fewer_steps(client: httpx.Client) -> None:
    """13 tokens are 1 + 3 * 4."""
    timing = Timing(ttft_s=0.0, tpot_s=0.03, tokens_per_chunk=4)
    with RunningFakeServer(FakeServerConfig(timing=timing)) as server:
        _, events_s = arrivals_s(client, server, 13)
    assert len(events_s) == 4
    assert 0.09 <= events_s[-1] < 13 * 0.03


def test_whole_answers_take_as_long_as_streamed_ones(client: httpx.Client) -> None:
    """Not streaming is not faster."""
    timing = Timing(ttft_s=0.05, tpot_s=0.01)
    with RunningFakeServer(FakeServerConfig(timing=timing)) as server:
        start_s = time.monotonic()
        body = {"prompt": "a", "max_tokens": 6, "ignore_eos": True}
        assert client.post(f"{server.url}/v1/completions", json=body).status_code == 200
        assert time.monotonic() - start_s >= 0.1


def test_noise_is_the_same_for_the_same_life_and_seed() -> None:
    noise = PaceNoise(block_noise=0.05, step_noise=0.1, life="r1")
    first, again = (Pace(noise, 7) for _ in range(2))
    speeds = [first.speed_at(100.5 + second) for second in range(50)]
    assert speeds == [again.speed_at(100.5 + second) for second in range(50)]
    assert first.speed_at(100.1) == first.speed_at(100.9), "all streams of a second share it"
    assert len(set(speeds)) == 50
    assert Pace(noise, 8).block != first.block != Pace(replace(noise, life="r2"), 7).block


def test_lives_and_seconds_vary_by_the_standard_deviations_asked_for() -> None:
    lives = [Pace(PaceNoise(block_noise=0.05, life=str(n)), 1).block for n in range(2000)]
    assert np.mean(lives) == pytest.approx(0, abs=0.005)
    assert np.std(lives) == pytest.approx(0.05, rel=0.06)
    pace = Pace(PaceNoise(block_noise=0.05, step_noise=0.1, life="x"), 1)
    seconds = np.log([pace.speed_at(float(n)) for n in range(2000)])
    assert np.mean(seconds) == pytest.approx(pace.block, abs=0.01)
    assert np.std(seconds) == pytest.approx(0.1, rel=0.06)


def test_without_noise_the_scripted_pace_is_kept() -> None:
    assert {Pace(PaceNoise(life="x"), 1).speed_at(n / 3) for n in range(100)} == {1.0}


def test_steps_take_as_long_as_the_speed_says_when_they_begin() -> None:
    """Twice as fast from the second second on: the step that begins there takes half as long."""
    timing = Timing(ttft_s=0.5, tpot_s=0.25)
    due = deadlines_s(timing, random.Random(0), lambda planned_s: 2.0 if planned_s >= 1.0 else 1.0)
    assert list(itertools.islice(due, 5)) == pytest.approx([0.5, 0.75, 1.0, 1.125, 1.25])


def test_a_slow_life_is_slow_on_the_wire(client: httpx.Client) -> None:
    life = next(str(n) for n in range(99) if Pace(PaceNoise(block_noise=0.5, life=str(n)), 0).block < -0.5)
    noise = PaceNoise(block_noise=0.5, life=life)
    with RunningFakeServer(FakeServerConfig(timing=Timing(ttft_s=0, tpot_s=0.01), noise=noise)) as server:
        _, events_s = arrivals_s(client, server, 31)
    assert events_s[-1] >= 0.3 * math.exp(0.5)


def test_noise_beyond_reason_is_refused() -> None:
    with pytest.raises(ConfigError, match="block_noise is 5"):
        PaceNoise(block_noise=5)
