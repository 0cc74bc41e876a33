"""Capacity of a simulated policy: the load at which the floor is just met, and none where no load meets it."""

from __future__ import annotations

import numpy as np
import pytest

from accounting.capacity import Bounds
from accounting.planning.drafting_yield import DraftingYield, always_drafting
from accounting.planning.queue_simulation import Asked, Policy, Simulated, simulate_closed, simulate_open
from accounting.planning.simulated_capacity import at_load, simulated_capacity
from accounting.slo import Slo
from tests.accounting.planning import engines

COST = engines.fitted()
DRAFT = always_drafting("draft_model", (0.9, 0.8, 0.7))


def closed(load: float, drafting: dict[str, DraftingYield] | None = None) -> Simulated:
    asked = [Asked(label="chat", prefilled=100, cached=0, output=61)] * (12 * int(load))
    policy = Policy(
        drafting=drafting or {},
        max_num_seqs=256,
        max_num_batched_tokens=2048,
        kv_tokens=1e6,
    )
    return simulate_closed(int(load), asked, policy, COST, seed=1)


def test_the_highest_load_that_meets_the_floor_is_found() -> None:
    slo = Slo(ttft_s=None, tpot_s=0.020)
    found = simulated_capacity(closed, slo, Bounds(1, 128))
    assert found.load is not None
    assert found.attainment >= 0.95
    assert at_load(found.load + 2, closed(found.load + 2), slo).attainment < 0.95
    assert found.slo_tokens_per_s <= found.tokens_per_s


def test_drafts_that_are_accepted_carry_more_streams() -> None:
    slo = Slo(ttft_s=None, tpot_s=0.015)
    without = simulated_capacity(closed, slo, Bounds(1, 128))
    with_drafts = simulated_capacity(lambda load: closed(load, {"chat": DRAFT}), slo, Bounds(1, 128))
    assert without.load is not None
    assert with_drafts.load is not None
    assert with_drafts.load > without.load
    assert with_drafts.slo_tokens_per_s > without.slo_tokens_per_s


def test_an_slo_that_no_load_meets_has_no_capacity() -> None:
    found = simulated_capacity(closed, Slo(ttft_s=None, tpot_s=0.005), Bounds(1, 128))
    assert found.load is None
    assert (found.attainment, found.slo_tokens_per_s) == (0.0, 0.0)
    assert len(found.probes) == 1


def test_a_rate_is_searched_like_streams() -> None:
    arrivals = np.cumsum(np.random.default_rng(1).exponential(1.0, 300))

    def offered(rate: float) -> Simulated:
        asked = [Asked(label="chat", prefilled=100, cached=0, output=61)] * 300
        policy = Policy(drafting={}, max_num_seqs=256, max_num_batched_tokens=2048, kv_tokens=1e6)
        return simulate_open(list(arrivals / rate), asked, policy, COST, seed=1)

    found = simulated_capacity(offered, Slo(ttft_s=0.2, tpot_s=0.020), Bounds(0.5, 64, whole=False))
    assert found.load is not None
    assert found.tokens_per_s == pytest.approx(61 * found.load, rel=0.15)
