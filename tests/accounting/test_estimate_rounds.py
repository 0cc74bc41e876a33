"""A round's steps: prompts go through together, up to what the engine takes in one step; what the TTFT of many is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.estimate.feasible import slo_reach
from accounting.estimate.known_shapes import LLAMA_3_8B
from accounting.estimate.placement import Placement
from accounting.estimate.serving_estimate import Drafting, Load, estimate, round_of
from accounting.estimate.step_time import prefill_step
from accounting.estimate.tensor_speedup import tensor_speedup
from accounting.slo import Slo
from tests.accounting.test_step_time import ON_A100


def test_short_prompts_share_one_reading_of_the_weights() -> None:
    """256 prompts of 10 tokens: one step of 2,560 tokens, and not 256 readings of 15 GB."""
    load = Load(batch=256, input_tokens=10, output_tokens=10)
    taken = round_of(ON_A100, load)
    assert (taken.prompts, taken.prefill_steps, taken.decode_steps) == (256, 1, 9)
    assert (taken.steps, taken.sequence_steps) == (10, 2560)
    found = estimate(ON_A100, load)
    assert found.last_ttft_s == pytest.approx(prefill_step(ON_A100, 10, prompts=256).seconds)
    assert found.last_ttft_s < 256 * found.ttft_s / 15
    assert found.ttft_s + found.tpot_s * 9 == pytest.approx(256 * 10 / found.tokens_per_s)


def test_a_step_holds_no_more_tokens_than_the_engine_takes() -> None:
    device = replace(ON_A100.device, batched_tokens=2048)
    small = replace(ON_A100, device=device)
    taken = round_of(small, Load(batch=64, input_tokens=512, output_tokens=10))
    assert (taken.prompts, taken.prefill_steps) == (4, 16)
    alone = round_of(small, Load(batch=64, input_tokens=5000, output_tokens=10))
    assert (alone.prompts, alone.prefill_steps) == (1, 64), "a longer prompt is a step of its own"
    with pytest.raises(ValueError, match="a step of 0 tokens"):
        replace(device, batched_tokens=0)


def test_stages_work_at_once_but_for_their_bubble() -> None:
    staged = replace(ON_A100, pipeline=4)
    load = Load(batch=64, input_tokens=8192, output_tokens=10)
    taken = round_of(staged, load)
    assert taken.prefill_passes == pytest.approx((64 + 3) / 4)
    assert taken.decoding == 16
    one = round_of(staged, replace(load, batch=1))
    assert one.prefill_passes == pytest.approx(1), "a lone prompt waits for every stage"
    assert estimate(staged, replace(load, batch=1)).prefill.compute_s == pytest.approx(
        estimate(ON_A100, replace(load, batch=1)).prefill.compute_s
    )


@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.integers(1, 9000),
    st.integers(2, 300),
    st.sampled_from([1, 4]),
)
def test_more_sequences_are_never_sooner(batch: int, more: int, asked: int, answer: int, stages: int) -> None:
    placed = replace(ON_A100, pipeline=stages)
    few, many = (
        estimate(placed, Load(batch=number, input_tokens=asked, output_tokens=answer))
        for number in (batch, batch + more)
    )
    assert few.last_ttft_s <= many.last_ttft_s * (1 + 1e-9)
    assert few.ttft_s == many.ttft_s
    assert few.tpot_s <= many.tpot_s * (1 + 1e-9)


def test_the_slo_says_what_its_ttft_leaves_out() -> None:
    load = Load(batch=64, input_tokens=2000, output_tokens=200)
    many = slo_reach(ON_A100, load, Slo(ttft_s=1.0, tpot_s=1.0))
    assert many.met
    assert "if a prompt waits for no other: of 64 that come at once the last has a TTFT of" in many.sentence
    few = slo_reach(ON_A100, replace(load, batch=1), Slo(ttft_s=1.0, tpot_s=1.0))
    assert few.met
    assert "at once" not in few.sentence


def test_a_draft_model_takes_its_part_of_the_memory() -> None:
    load = Load(batch=8, input_tokens=500, output_tokens=500)
    free = estimate(ON_A100, load, Drafting(accepted=(0.5,)))
    drafting = Drafting(accepted=(0.5,), draft=ON_A100)
    drafted = estimate(ON_A100, load, drafting)
    left = ON_A100.free_bytes() - ON_A100.device_weight_bytes
    assert (
        drafted.largest_batch == int(left // (2 * ON_A100.device_cache_bytes(1000))) < free.largest_batch / 2
    )
    between = replace(load, batch=drafted.largest_batch + 1)
    assert estimate(ON_A100, between, Drafting(accepted=(0.5,))).fits
    assert not estimate(ON_A100, between, drafting).fits
    reach = slo_reach(ON_A100, load, Slo(ttft_s=None, tpot_s=None), drafting)
    assert reach.largest_batch == drafted.largest_batch


def test_amdahl_bounds_what_tensor_parallel_brings() -> None:
    load = Load(batch=8, input_tokens=500, output_tokens=500)
    four = Placement(shape=LLAMA_3_8B, device=ON_A100.device, tensor=4)
    found = tensor_speedup(four, load)
    ratio = estimate(ON_A100, load).step.seconds / estimate(four, load).step.seconds
    assert found.speedup == pytest.approx(ratio)
    assert found.at_most is not None
    assert found.speedup < 4 < found.at_most
    alone = tensor_speedup(ON_A100, load)
    assert (alone.serial_share, alone.speedup, alone.at_most) == (0, 1, None)
    slow = replace(ON_A100, device=replace(ON_A100.device, step_overhead_s=1.0))
    assert tensor_speedup(slow, load).at_most == pytest.approx(1.0, abs=0.02)
