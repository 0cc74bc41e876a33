"""The simulated engine: exact where a pencil is enough, the closed loop's arithmetic at load, and vLLM's limits kept."""

from __future__ import annotations

import numpy as np
import pytest

from accounting.planning.drafting_yield import always_drafting, no_drafting
from accounting.planning.queue_simulation import Asked, Policy, simulate_closed, simulate_open
from accounting.planning.steady_rate import RequestShape, steady_rate
from accounting.planning.step_cost import StepWork
from tests.accounting.planning import engines

DRAFT = always_drafting("draft_model", (0.6, 0.4, 0.25))
COST = engines.fitted()


def asked(count: int = 1, output: int = 61, prefilled: int = 100) -> list[Asked]:
    return [Asked(label="chat", prefilled=prefilled, cached=0, output=output)] * count


def policy(**changed: object) -> Policy:
    fields = {"drafting": {}, "max_num_seqs": 64, "max_num_batched_tokens": 2048, "kv_tokens": 1e6}
    return Policy(**(fields | changed))  # type: ignore[arg-type]


def test_one_request_is_a_prefill_and_a_step_for_each_further_token() -> None:
    done = simulate_open([2.0], asked(output=3), policy(), COST, seed=1)
    prefill = engines.seconds(StepWork(sequences=0, prefilled=100))
    steps = [engines.seconds(StepWork(sequences=1, context=c)) for c in (101, 102)]
    assert done.ttft_s[0] == pytest.approx(prefill, rel=1e-6)
    assert done.tpot_s[0] == pytest.approx(sum(steps) / 2, rel=1e-6)
    assert done.ended_s == pytest.approx(2.0 + prefill + sum(steps), rel=1e-6)


@pytest.mark.parametrize("drafting", [no_drafting(), DRAFT])
@pytest.mark.parametrize("streams", [1, 4, 16])
def test_a_closed_loop_delivers_what_the_arithmetic_says(drafting: object, streams: int) -> None:
    labels = {} if drafting == no_drafting() else {"chat": DRAFT}
    done = simulate_closed(streams, asked(40 * streams), policy(drafting=labels), COST, seed=3)
    predicted = steady_rate(
        streams,
        labels.get("chat", no_drafting()),
        RequestShape(prefilled=100, output=61, context=130.5),
        COST,
    )
    assert 61 * 40 * streams / done.ended_s == pytest.approx(predicted.tokens_per_s, rel=0.04)


def test_seats_and_cache_make_requests_wait() -> None:
    free = simulate_open([0.0] * 8, asked(8), policy(), COST, seed=1)
    for narrow in (policy(max_num_seqs=2), policy(kv_tokens=2 * 161)):
        done = simulate_open([0.0] * 8, asked(8), narrow, COST, seed=1)
        assert np.sum(done.ttft_s < free.ttft_s.max() + 1e-9) == 2
        assert np.all(np.diff(done.first_token_s) >= 0)
        assert done.ended_s > free.ended_s


def test_a_long_prompt_is_prefilled_in_parts_while_others_decode() -> None:
    two = [*asked(), *asked(prefilled=5000, output=2)]
    small = simulate_open([0.0, 0.05], two, policy(max_num_batched_tokens=256), COST, seed=1)
    large = simulate_open([0.0, 0.05], two, policy(max_num_batched_tokens=8192), COST, seed=1)
    assert small.ttft_s[1] > large.ttft_s[1]
    assert small.last_token_s[0] != large.last_token_s[0]


def test_nothing_is_drafted_above_a_schedules_limit() -> None:
    always = policy(drafting={"chat": DRAFT})
    never_reached = policy(drafting={"chat": DRAFT}, drafts_up_to=64)
    at_once = policy(drafting={"chat": DRAFT}, drafts_up_to=0)
    ends = [
        simulate_closed(8, asked(80), one, COST, seed=5).ended_s for one in (always, never_reached, at_once)
    ]
    assert ends[0] == ends[1]
    assert ends[2] != ends[0]


def test_the_same_seed_gives_the_same_answer() -> None:
    drafted = policy(drafting={"chat": DRAFT})
    one, two, other = (simulate_closed(4, asked(40), drafted, COST, seed=seed).ended_s for seed in (1, 1, 2))
    assert one == two != other


def test_what_cannot_be_simulated_is_refused() -> None:
    with pytest.raises(ValueError, match="161 tokens has no room"):
        simulate_open([0.0], asked(), policy(kv_tokens=160), COST, seed=1)
    with pytest.raises(ValueError, match="in order"):
        simulate_open([1.0, 0.5], asked(2), policy(), COST, seed=1)
    with pytest.raises(ValueError, match="at least one stream"):
        simulate_closed(0, asked(), policy(), COST, seed=1)
