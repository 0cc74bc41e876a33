"""Parts of a step: planted ones are found again, what was not measured is refused, intervals hold what they should."""

from __future__ import annotations

import pytest

from accounting.planning.step_cost import StepWork, fit_step_cost
from tests.accounting.planning import engines


def test_planted_parts_are_found() -> None:
    parts = dict(engines.fitted().parts)
    assert parts["step"] == pytest.approx(engines.STEP_S, rel=1e-6)
    assert parts["judged token"] == pytest.approx(engines.JUDGED_S, rel=1e-6)
    assert parts["ngram: sequence"] == pytest.approx(engines.LOOKUP_SEQUENCE_S, rel=1e-6)
    assert parts["draft_model: draft pass"] == pytest.approx(engines.PASS_S, rel=1e-6)
    assert parts["ngram: draft pass"] == 0.0


def test_a_held_out_k_is_predicted_from_the_others() -> None:
    all_windows = list(engines.windows(noise=0.02))
    held_out = [(w, s) for w, s in all_windows if w.draft_steps == 3]
    cost = fit_step_cost([(w, s) for w, s in all_windows if w.draft_steps != 3])
    errors = [abs(cost.seconds(work) / engines.seconds(work) - 1) for work, _ in held_out]
    assert len(errors) == 6
    assert max(errors) < 0.03


def test_intervals_hold_other_windows_as_often_as_they_say() -> None:
    inside = asked = 0
    for seed in range(40):
        cost = engines.fitted(noise=0.03, seed=seed)
        for work, step_s in engines.windows(noise=0.03, seed=1000 + seed):
            predicted = cost.predicted(work)
            inside += predicted.low <= step_s <= predicted.high
            asked += 1
    assert 0.93 < inside / asked < 0.97


def test_causes_sum_to_the_step_and_name_only_what_is_there() -> None:
    cost = engines.fitted()
    work = StepWork(method="draft_model", sequences=4, drafted=12, draft_steps=3, context=800)
    causes = cost.by_cause(work)
    assert sum(causes.values()) == pytest.approx(engines.seconds(work), rel=1e-6)
    assert not any(name.startswith("ngram") or name == "prefilled token" for name in causes)


def test_what_no_window_showed_is_refused() -> None:
    with pytest.raises(
        ValueError, match="no window was measured with suffix; there are off, ngram, draft_model"
    ):
        engines.fitted().seconds(StepWork(method="suffix", sequences=1))


def test_too_few_windows_are_refused() -> None:
    some = list(engines.windows())[:2]
    with pytest.raises(ValueError, match="2 windows"):
        fit_step_cost(some)
    with pytest.raises(ValueError, match="too few for"):
        fit_step_cost(list(engines.windows())[:4])
