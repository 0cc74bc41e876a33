"""Rates of a closed loop: what the arithmetic says, where drafting pays, and at which acceptance it begins to."""

from __future__ import annotations

from functools import partial

import pytest

from accounting.planning.drafting_yield import DraftingYield, always_drafting, no_drafting
from accounting.planning.steady_rate import (
    RequestShape,
    break_even_tokens_per_step,
    mean_step,
    paying_loads,
    steady_rate,
)
from tests.accounting.planning import engines

SHAPE = RequestShape(prefilled=100, output=61, context=130.5)
DRAFT = always_drafting("draft_model", (0.6, 0.4, 0.25))


def test_one_stream_without_drafts_is_a_step_for_each_token() -> None:
    cost = engines.fitted()
    work = mean_step(1, no_drafting(), SHAPE)
    assert work.sequences == pytest.approx(60 / 61)
    assert work.prefilled == pytest.approx(100 / 61)
    rate = steady_rate(1, no_drafting(), SHAPE, cost)
    assert rate.tokens_per_s == pytest.approx(1 / engines.seconds(work), rel=1e-6)
    assert rate.tpot_s == rate.step_s
    assert rate.low_tokens_per_s <= rate.tokens_per_s <= rate.high_tokens_per_s


def test_at_the_break_even_drafting_is_worth_nothing() -> None:
    cost = engines.fitted()

    def rate(drafting: DraftingYield, streams: float) -> float:
        return steady_rate(streams, drafting, SHAPE, cost).tokens_per_s

    for streams in (1, 8):
        off = rate(no_drafting(), streams)
        tokens = break_even_tokens_per_step(partial(rate, streams=streams), DRAFT, off)
        assert tokens is not None
        assert rate(DRAFT.with_tokens_per_step(tokens), streams) == pytest.approx(off, rel=1e-6)
    assert break_even_tokens_per_step(partial(rate, streams=1), DRAFT, 1e6) is None
    assert break_even_tokens_per_step(partial(rate, streams=1), DRAFT, 1e-6) == 1.0


def test_drafting_pays_at_few_streams_and_not_at_many() -> None:
    cost = engines.fitted()

    def ratio(streams: int) -> float:
        drafted = steady_rate(streams, DRAFT, SHAPE, cost).tokens_per_s
        return drafted / steady_rate(streams, no_drafting(), SHAPE, cost).tokens_per_s

    [(first, last)] = paying_loads(ratio, range(1, 257))
    assert first == 1
    assert 1 < last < 256
    assert ratio(last) > 1.0 >= ratio(last + 1)


def test_paying_loads_may_have_a_gap() -> None:
    pays = {1: 1.2, 2: 1.1, 4: 0.9, 8: 1.3, 16: 1.01}
    assert paying_loads(pays.__getitem__, list(pays)) == [(1, 2), (8, 16)]
    assert paying_loads(lambda _: 1.0, [1, 2]) == []


def test_no_load_is_refused() -> None:
    with pytest.raises(ValueError, match="make no load"):
        mean_step(0, no_drafting(), SHAPE)
