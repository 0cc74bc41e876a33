import pytest

from accounting.acceptance import NO_DRAFTS
from drafts.replay.acceptance import acceptance_of
from drafts.replay.walk import WalkCounts


def test_the_quantities_are_those_of_the_counters() -> None:
    """Two answers: 3 drafts of 2 tokens, 4 accepted; 11 tokens behind the first ones in 7 steps."""
    counts = [WalkCounts(7, 4, 2, 4, [2, 1], [0, 1]), WalkCounts(6, 3, 1, 2, [1, 0], [0, 0])]
    found = acceptance_of(counts, 2)
    assert found.by_position == pytest.approx([1.0, 1 / 3])
    assert found.acceptance_length.value == pytest.approx(1 + sum(found.by_position))
    assert found.acceptance_length_at_most.value == pytest.approx(1 + 5 / 3)
    assert found.acceptance_rate.value == pytest.approx(4 / 6)
    assert found.tokens_per_step.value == pytest.approx(11 / 7)
    assert found.acceptance_length_interval is not None


def test_a_silent_drafter_has_no_length_but_steps() -> None:
    found = acceptance_of([WalkCounts(5, 4, 0, 0, [0, 0], [0, 0])], 2)
    assert found.acceptance_length.reason == NO_DRAFTS
    assert found.by_position == []
    assert found.tokens_per_step.value == 1.0
    assert found.tokens_per_step_interval is None
