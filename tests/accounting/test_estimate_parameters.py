"""Parameters by part, against sums done by hand."""

from __future__ import annotations

import pytest

from accounting.estimate.parameters import active_parameters, expected_experts, parameters
from accounting.estimate.shape import Experts, FeedForward, GroupedAttention, LayerKind, ModelShape

MIB = 2**20


def llama(*, vocabulary: int, kv_heads: int, width: int) -> ModelShape:
    """32 layers of 4096 with 32 heads of 128."""
    layer = LayerKind(
        count=32,
        mixer=GroupedAttention(heads=32, kv_heads=kv_heads, head_dim=128),
        feed_forward=FeedForward(width=width),
    )
    return ModelShape(name="llama", hidden=4096, vocabulary=vocabulary, layers=(layer,))


def experts(number: int, chosen: int, **more: bool) -> ModelShape:
    """One layer of width 8 with two heads of 4 and experts of width 16 beside a shared block of 4."""
    mixture = Experts(
        number=number, chosen=chosen, expert=FeedForward(width=16), shared=FeedForward(width=4), **more
    )
    layer = LayerKind(count=1, mixer=GroupedAttention(heads=2, kv_heads=1, head_dim=4), feed_forward=mixture)
    return ModelShape(name="experts", hidden=8, vocabulary=10, layers=(layer,))


def test_what_llama_3_8b_has_more_than_llama_2_7b_part_by_part() -> None:
    second = llama(vocabulary=32_000, kv_heads=32, width=11_008)
    third = llama(vocabulary=128_256, kv_heads=8, width=14_336)
    more = {name: 2 * n / MIB for name, n in parameters(third).minus(parameters(second)).items()}
    assert more["embedding"] + more["head"] == 1504  # 2 x 96,256 rows of 4096
    assert more["keys_values"] == -1536  # 2 x 4096 x 24 heads x 128, 32 times
    assert more["feed_forward"] == 2496  # 3 x 4096 x 3328, 32 times
    assert more["queries"] == more["router"] == more["state_space"] == more["norms"] == 0
    assert sum(more.values()) == 2464


def test_gpt_3_has_175_billion() -> None:
    """arXiv 2005.14165, table 2.1: 96 layers of 12,288 with 96 heads of 128; GPT-2's biases, vocabulary and tying."""
    layer = LayerKind(
        count=96,
        mixer=GroupedAttention(heads=96, kv_heads=96, head_dim=128, qkv_bias=True, out_bias=True),
        feed_forward=FeedForward(width=4 * 12_288, gated=False, bias=True),
    )
    shape = ModelShape(
        name="GPT-3",
        hidden=12_288,
        vocabulary=50_257,
        layers=(layer,),
        tied=True,
        positions=2048,
        norm_bias=True,
    )
    # 96 (12 h^2 + 13 h) + 2 h + (50,257 + 2048) h
    assert parameters(shape).total == 174_604_259_328
    assert parameters(shape).total == pytest.approx(175e9, rel=0.005)


def test_a_layer_of_experts_by_hand() -> None:
    counted = parameters(experts(4, 2, router_bias=True, shared_gate=True))
    assert counted.queries == 8 * 8 + 8 * 8
    assert counted.keys_values == 2 * 8 * 4
    assert counted.feed_forward == 4 * 3 * 8 * 16 + 3 * 8 * 4 + 8
    assert counted.router == 4 * 8 + 4
    assert counted.norms == 3 * 8
    assert counted.embedding == counted.head == 10 * 8
    active = active_parameters(experts(4, 2, router_bias=True, shared_gate=True))
    assert active.feed_forward == 2 * 3 * 8 * 16 + 3 * 8 * 4 + 8
    assert counted.minus(active) == {
        "embedding": 0, "head": 0, "queries": 0, "keys_values": 0, "state_space": 0, "router": 0, "norms": 0,
        "feed_forward": 2 * 3 * 8 * 16,
    }  # fmt: skip


def test_every_expert_chosen_is_every_parameter_active() -> None:
    assert active_parameters(experts(4, 4)) == parameters(experts(4, 4))


def test_a_narrow_embedding_is_led_in_and_out() -> None:
    layer = LayerKind(count=1, mixer=GroupedAttention(heads=2, kv_heads=2, head_dim=4), feed_forward=None)
    wide = ModelShape(name="wide", hidden=8, vocabulary=10, layers=(layer,), tied=True, positions=5)
    narrow = ModelShape(
        name="narrow", hidden=8, vocabulary=10, layers=(layer,), tied=True, positions=5, embedding_width=3
    )
    assert parameters(wide).embedding == 10 * 8 + 5 * 8
    assert parameters(wide).head == 0
    assert parameters(narrow).embedding == 10 * 3 + 5 * 8 + 3 * 8
    assert parameters(narrow).head == 3 * 8
    with pytest.raises(ValueError, match="embedding_width must be at least 1"):
        ModelShape(name="none", hidden=8, vocabulary=10, layers=(layer,), embedding_width=0)


@pytest.mark.parametrize(("tokens", "touched"), [(0, 0), (1, 2), (4, 5.47), (8, 7.2)])
def test_how_many_of_eight_experts_are_touched_with_two_chosen(tokens: int, touched: float) -> None:
    """8 (1 - 0.75^tokens)."""
    assert expected_experts(8, 2, tokens) == pytest.approx(touched, abs=0.005)


@pytest.mark.parametrize(("number", "chosen", "tokens"), [(8, 9, 1), (8, 0, 1), (8, 2, -1)])
def test_experts_that_cannot_be_touched(number: int, chosen: int, tokens: int) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        expected_experts(number, chosen, tokens)
