"""Seconds of a step by kind of token: planted ones are found, alike windows are refused, shares sum to one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.token_shares import WindowWork, fit_token_times, token_shares

TIMES = (0.004, 0.0002, 0.00001, 0.001)


def window(steps: float, prefill: float, cached: float, output: float, *, off: float = 0.0) -> WindowWork:
    seconds = sum(t * n for t, n in zip(TIMES, (steps, prefill, cached, output), strict=True))
    return WindowWork(
        window_s=seconds * (1 + off),
        steps=steps,
        prefill_tokens=prefill,
        cached_tokens=cached,
        output_tokens=output,
    )


def windows(rng: np.random.Generator, count: int, *, off: float = 0.0) -> list[WindowWork]:
    found = []
    for _ in range(count):
        steps = rng.uniform(500, 5000)
        found.append(
            window(steps, steps * rng.uniform(0, 60), steps * rng.uniform(0, 40), steps * rng.uniform(1, 30),
                   off=rng.normal(0, off) if off else 0.0)
        )  # fmt: skip
    return found


@given(st.integers(0, 1000))
def test_planted_times_are_found(seed: int) -> None:
    found = fit_token_times(windows(np.random.default_rng(seed), 12))
    assert (found.step_s, found.prefill_s, found.cached_s, found.output_s) == pytest.approx(
        TIMES, rel=1e-4, abs=1e-9
    )
    assert found.misfit < 1e-9


@given(st.integers(0, 1000))
def test_shares_sum_to_one_and_are_those_of_the_times(seed: int) -> None:
    works = windows(np.random.default_rng(seed), 12, off=0.02)
    times = fit_token_times(works)
    shares = token_shares(works[0], times)
    assert shares.input + shares.cached_input + shares.output == pytest.approx(1.0)
    assert min(shares.input, shares.cached_input, shares.output) >= 0


def test_a_kind_of_token_that_never_came_has_no_share() -> None:
    works = [
        window(w.steps, w.prefill_tokens, 0, w.output_tokens) for w in windows(np.random.default_rng(1), 8)
    ]
    times = fit_token_times(works)
    assert times.cached_s == 0
    assert token_shares(works[0], times).cached_input == 0


def test_windows_that_say_too_little_are_refused() -> None:
    works = windows(np.random.default_rng(2), 12)
    with pytest.raises(ValueError, match="5 windows are too few"):
        fit_token_times(works[:5])
    alike = [window(1000 * n, 9000 * n, 2000 * n, 8000 * n) for n in range(1, 10)]
    with pytest.raises(ValueError, match="too alike"):
        fit_token_times(alike)
    odd = windows(np.random.default_rng(3), 30, off=0.5)
    with pytest.raises(ValueError, match="on average from a sum"):
        fit_token_times([work for work in odd if work.window_s > 0])
