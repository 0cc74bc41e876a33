"""Roofline steps: never faster than bytes or operations allow, and a larger batch is never dearer."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.estimate.device import Device
from accounting.estimate.examples_of_serving import A100_80GB
from accounting.estimate.feasible import slo_reach
from accounting.estimate.known_shapes import GPT_3_175B, LLAMA_3_8B, MISTRAL_7B_WINDOW, MIXTRAL_8X7B
from accounting.estimate.parameters import parameters
from accounting.estimate.placement import Placement
from accounting.estimate.serving_estimate import Drafting, Load, estimate
from accounting.estimate.step_time import decode_step, prefill_step
from accounting.estimate.weight_bytes import Format
from accounting.holding import rented, usd_per_1k
from accounting.slo import Slo

ON_A100 = Placement(shape=LLAMA_3_8B, device=A100_80GB)
SLOW = Device(
    name="slow", memory_bytes=1e12, bandwidth_bytes_per_s=20e9, flops_per_s={Format.BFLOAT16: 500e9}, source="made up",
    as_of=date(2026, 1, 1), link_bytes_per_s=50e9,
)  # fmt: skip
SHAPES = st.sampled_from([LLAMA_3_8B, MIXTRAL_8X7B, MISTRAL_7B_WINDOW, GPT_3_175B])


def test_a_step_of_one_sequence_reads_all_weights_and_its_cache() -> None:
    """Llama-3-8B: 15.0 GB without the embedding, over 2.039 TB/s; 2,000 tokens of 128 KiB beside them."""
    step = decode_step(ON_A100, 1, 2000)
    counted = parameters(LLAMA_3_8B)
    read = 2 * (counted.total - counted.embedding) + 2000 * 131_072
    assert step.memory_s == pytest.approx(read / 2.039e12)
    assert step.bound == "memory"
    assert step.link_s == step.overhead_s == 0


def test_prefill_is_bound_by_operations_and_grows_faster_than_its_length() -> None:
    short, long = prefill_step(ON_A100, 1000), prefill_step(ON_A100, 2000)
    assert short.bound == "compute"
    assert 2 * short.compute_s < long.compute_s < 2.1 * short.compute_s


@given(
    SHAPES,
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(1, 4000),
    st.integers(1, 500),
    st.sampled_from([1, 2, 8]),
)
def test_more_batch_is_never_dearer(
    a_shape, small: int, more: int, asked: int, answer: int, ways: int
) -> None:  # type: ignore[no-untyped-def]
    placed = Placement(shape=a_shape, device=A100_80GB, tensor=ways)
    costs = [
        usd_per_1k(
            rented(3.0),
            estimate(placed, Load(batch=batch, input_tokens=asked, output_tokens=answer)).tokens_per_s,
        )
        for batch in (small, small + more)
    ]
    assert costs[1] <= costs[0] * (1 + 1e-9)


@given(st.integers(1, 64), st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_no_step_is_faster_than_the_roof(batch: int, bandwidth: float, compute: float) -> None:
    placed = replace(ON_A100, bandwidth_share=bandwidth, compute_share=compute)
    step, roof = decode_step(placed, batch, 500), decode_step(ON_A100, batch, 500)
    assert step.seconds >= max(roof.memory_s, roof.compute_s)
    assert step.memory_s == pytest.approx(roof.memory_s / bandwidth)


def test_measured_rates_by_rows_limit_a_step() -> None:
    device = replace(SLOW, rows_flops_per_s={1: 10e9, 8: 60e9, 64: 300e9})
    assert device.rate(Format.BFLOAT16, 1) == 10e9
    assert device.rate(Format.BFLOAT16, 9) == 60e9
    assert device.rate(Format.BFLOAT16, 0.5) == 10e9
    assert device.rate(Format.BFLOAT16) == 300e9
    few = decode_step(Placement(shape=LLAMA_3_8B, device=device), 1, 10)
    assert few.compute_s > decode_step(Placement(shape=LLAMA_3_8B, device=SLOW), 1, 10).compute_s * 40


def test_overhead_counts_steps_and_layers_and_the_sequences_in_both() -> None:
    device = replace(
        SLOW,
        step_overhead_s=0.002, layer_overhead_s=0.0001, token_overhead_s=0.001, layer_token_overhead_s=0.00001,
    )  # fmt: skip
    placed = Placement(shape=LLAMA_3_8B, device=device)
    assert decode_step(placed, 1, 10).overhead_s == pytest.approx(0.00652)
    assert decode_step(placed, 8, 10, tokens=5).overhead_s == pytest.approx(0.01576), (
        "sequences, not drafted rows"
    )
    assert prefill_step(placed, 700).overhead_s == pytest.approx(0.00652)


def test_tensor_parallel_divides_what_is_read_and_adds_messages() -> None:
    alone = Placement(shape=LLAMA_3_8B, device=A100_80GB)
    four = replace(alone, tensor=4)
    assert decode_step(four, 8, 1000).memory_s == pytest.approx(decode_step(alone, 8, 1000).memory_s / 4)
    assert decode_step(four, 8, 1000).link_s > 0
    sixteen = replace(alone, tensor=16)  # 8 key-value heads: each is held twice
    eight = replace(alone, tensor=8)
    assert sixteen.device_cache_bytes(1000) == eight.device_cache_bytes(1000)


def test_pipeline_stages_answer_more_and_not_sooner() -> None:
    alone = Placement(shape=LLAMA_3_8B, device=A100_80GB)
    staged = replace(alone, pipeline=4)
    load = Load(batch=64, input_tokens=10, output_tokens=500)
    one, four = estimate(alone, load), estimate(staged, load)
    assert one.tokens_per_s < four.tokens_per_s < 4 * one.tokens_per_s
    assert decode_step(staged, 1, 100).memory_s == pytest.approx(decode_step(alone, 1, 100).memory_s)


def test_replicas_share_the_batch() -> None:
    alone = Placement(shape=LLAMA_3_8B, device=A100_80GB)
    load = Load(batch=8, input_tokens=100, output_tokens=100)
    twice = estimate(replace(alone, data=2), replace(load, batch=16))
    assert twice.tokens_per_s == pytest.approx(2 * estimate(alone, load).tokens_per_s)
    assert twice.largest_batch == 2 * estimate(alone, load).largest_batch


def test_speculation_gives_e_of_k_tokens_a_step_and_pays_for_its_draft() -> None:
    load = Load(batch=1, input_tokens=100, output_tokens=101)
    plain = estimate(ON_A100, load)
    free = estimate(ON_A100, load, Drafting(accepted=(0.6, 0.4, 0.25, 0.15)))
    assert free.tokens_per_step == pytest.approx(2.4)
    assert free.tokens_per_s > 2 * plain.tokens_per_s
    self_drafted = estimate(ON_A100, load, Drafting(accepted=(0.6, 0.4, 0.25, 0.15), draft=ON_A100))
    assert self_drafted.tokens_per_s < plain.tokens_per_s, (
        "a draft as large as the target costs more than it brings"
    )
    for wrong in ((), (0.4, 0.6), (1.2,)):
        with pytest.raises(ValueError, match="acceptance"):
            Drafting(accepted=wrong)


def test_what_does_not_fit_is_said() -> None:
    gpt = Placement(shape=GPT_3_175B, device=A100_80GB)
    assert gpt.largest_batch(100) == 0
    eight = replace(gpt, tensor=8)
    per_sequence = 2 * 96 * 12_288 * 2 * 400 / 8
    free = 80e9 * eight.memory_share - eight.device_weight_bytes
    assert eight.largest_batch(400) == int(free // per_sequence)
    with pytest.raises(ValueError, match="states no link"):
        Placement(shape=GPT_3_175B, device=replace(A100_80GB, link_bytes_per_s=None), tensor=2)
    with pytest.raises(ValueError, match="97 pipeline stages"):
        Placement(shape=GPT_3_175B, device=A100_80GB, pipeline=97)


def test_an_slo_is_met_at_the_batch_at_a_smaller_one_or_not_at_all() -> None:
    load = Load(batch=64, input_tokens=500, output_tokens=200)
    within = slo_reach(ON_A100, load, Slo(ttft_s=1.0, tpot_s=0.1))
    assert within.met
    assert within.largest_batch >= 64
    tight = slo_reach(ON_A100, load, Slo(ttft_s=1.0, tpot_s=0.010))
    assert not tight.met
    assert 1 <= tight.largest_batch < 64
    assert f"up to {tight.largest_batch} sequences keep it" in tight.sentence
    at_most = estimate(ON_A100, replace(load, batch=tight.largest_batch))
    assert at_most.tpot_s <= 0.010 < estimate(ON_A100, replace(load, batch=tight.largest_batch + 1)).tpot_s
    never = slo_reach(ON_A100, load, Slo(ttft_s=1.0, tpot_s=0.001))
    assert (never.met, never.largest_batch) == (False, 0)
    assert "not even one sequence alone keeps it" in never.sentence
