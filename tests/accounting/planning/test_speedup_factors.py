"""Factors of a speed-up: their product is the ratio, each says its own cause, and the rest is named."""

from __future__ import annotations

from math import prod

import pytest

from accounting.planning import speedup_factors as causes
from accounting.planning.drafting_yield import DraftingYield, always_drafting, no_drafting
from accounting.planning.speedup_factors import speedup_factors
from accounting.planning.steady_rate import RequestShape, steady_rate
from tests.accounting.planning import engines

SHAPE = RequestShape(prefilled=100, output=61, context=130.5)
COST = engines.fitted()
DRAFT = always_drafting("draft_model", (0.6, 0.4, 0.25))
LOOKUP = DraftingYield(method="ngram", k=2, drafted=0.8, survival=(0.3, 0.2), draft_steps=0.0)


@pytest.mark.parametrize("drafting", [DRAFT, LOOKUP])
@pytest.mark.parametrize("streams", [1, 16])
def test_the_product_is_the_predicted_ratio(drafting: DraftingYield, streams: int) -> None:
    rates = [steady_rate(streams, one, SHAPE, COST).tokens_per_s for one in (drafting, no_drafting())]
    factors = speedup_factors(streams, drafting, no_drafting(), SHAPE, COST)
    assert prod(one.factor for one in factors) == pytest.approx(rates[0] / rates[1])


def test_each_cause_is_its_own() -> None:
    draft, lookup = (
        {one.cause: one.factor for one in speedup_factors(4, drafting, no_drafting(), SHAPE, COST)}
        for drafting in (DRAFT, LOOKUP)
    )
    assert draft[causes.METHOD] == 1.0
    assert draft[causes.PASSES] < 1.0
    assert lookup[causes.PASSES] == 1.0
    assert lookup[causes.METHOD] < 1.0
    assert 1.0 < lookup[causes.ACCEPTANCE] < draft[causes.ACCEPTANCE] < DRAFT.tokens_per_step


def test_what_the_measurement_adds_is_named() -> None:
    factors = speedup_factors(4, DRAFT, no_drafting(), SHAPE, COST, measured_ratio=0.5)
    assert factors[-1].cause == causes.UNEXPLAINED
    assert prod(one.factor for one in factors) == pytest.approx(0.5)
