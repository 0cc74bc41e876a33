"""Yields of drafting: tokens per step, mixes of classes, and drafts that are accepted better or worse."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.planning.drafting_yield import DraftingYield, always_drafting, mixed, no_drafting


def lookup(drafted: float, *survival: float) -> DraftingYield:
    return DraftingYield(method="ngram", k=len(survival), drafted=drafted, survival=survival, draft_steps=0.0)


def test_tokens_per_step_are_one_and_what_survives() -> None:
    assert no_drafting().tokens_per_step == 1.0
    assert always_drafting("draft_model", (0.6, 0.4, 0.2)).tokens_per_step == pytest.approx(2.2)
    assert lookup(1.2, 0.4, 0.3).tokens_per_step == pytest.approx(1.7)


def test_a_mix_takes_the_tokens_of_both_in_the_steps_of_both() -> None:
    copy, chat = lookup(3.0, 1.0, 1.0, 1.0), lookup(0.5, 0.1, 0.0, 0.0)
    mix = mixed([copy, chat], [0.6, 0.4])
    steps = 0.6 / 4.0 + 0.4 / 1.1
    assert mix.tokens_per_step == pytest.approx(1.0 / steps)
    assert mix.drafted == pytest.approx((3.0 * 0.6 / 4.0 + 0.5 * 0.4 / 1.1) / steps)


@given(q=st.floats(0.0, 1.0), share=st.floats(0.01, 1.0), k=st.integers(1, 8), better=st.floats(0.0, 1.0))
def test_better_or_worse_drafts_yield_what_is_asked(q: float, share: float, k: int, better: float) -> None:
    some = lookup(share * k, *(share * q**i for i in range(1, k + 1)))
    wanted = 1.0 + better * some.drafted
    assert some.with_tokens_per_step(wanted).tokens_per_step == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("tokens", [0.9, 2.3])
def test_more_than_is_drafted_is_no_yield(tokens: float) -> None:
    with pytest.raises(ValueError, match=r"tokens per step of 1 to 2\.2"):
        lookup(1.2, 0.4, 0.3).with_tokens_per_step(tokens)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="shares that fall"):
        lookup(2.0, 0.3, 0.5)
    with pytest.raises(ValueError, match=r"accepted of 0\.5 drafted"):
        lookup(0.5, 0.5, 0.3)
    with pytest.raises(ValueError, match="one policy"):
        mixed([lookup(1.2, 0.4, 0.3), no_drafting()], [1, 1])


def test_rounding_makes_no_share_above_one() -> None:
    draw = random.Random(1)
    for _ in range(500):
        tokens = [draw.uniform(1, 100) for _ in range(3)]
        each = [always_drafting("d", [a**i for i in (1, 2, 3)]) for a in (draw.random(), draw.random(), 1.0)]
        one = mixed(each, tokens)
        assert one.with_tokens_per_step(1.0 + one.drafted).tokens_per_step == pytest.approx(4.0)
    assert mixed([always_drafting("d", (1.0, 1.0))] * 3, [0.1, 0.2, 0.7]).survival == pytest.approx(
        (1.0, 1.0)
    )


def test_what_is_cut_at_the_end_lowers_all_positions_alike() -> None:
    one = always_drafting("d", (0.8, 0.4))
    assert one.cut_to(1.6).survival == pytest.approx((0.4, 0.2))
    assert one.cut_to(3.0) == one
    assert one.cut_to(1.0).survival == (0.0, 0.0)
