"""A draft's vocabulary: the most frequent tokens and those that must be there, as large as coverage asks."""

from __future__ import annotations

import numpy as np
import pytest

from drafts.eagle3.vocabulary import ASKED_COVERAGE, choose_vocabulary, count_tokens


def test_the_smallest_that_covers_held_out_answers() -> None:
    trained = count_tokens([[7] * 50 + [3] * 30 + [5] * 20 + [1]], 10)
    held_out = count_tokens([[7] * 60 + [3] * 30 + [5] * 9 + [1]], 10)
    found = choose_vocabulary(trained, held_out, always=[9], sizes=[2, 3, 4, 5])
    assert found.target_ids.tolist() == [3, 5, 7, 9]
    assert found.coverage(held_out) == pytest.approx(0.99)
    assert found.coverage(held_out) >= ASKED_COVERAGE
    assert (np.arange(4) + found.offsets).tolist() == [3, 5, 7, 9], "target id = i + d2t[i]"
    assert found.membership(10).nonzero()[0].tolist() == [3, 5, 7, 9]
    largest = choose_vocabulary(trained, held_out, always=[9], sizes=[2, 3])
    assert len(largest.target_ids) == 3
    assert largest.coverage(held_out) < ASKED_COVERAGE


def test_equal_counts_are_taken_in_the_order_of_their_numbers() -> None:
    counts = np.array([0, 5, 5, 5, 0])
    assert choose_vocabulary(counts, counts, always=[], sizes=[2]).target_ids.tolist() == [1, 2]


def test_what_must_be_there_has_to_fit() -> None:
    counts = np.array([1, 1, 1])
    with pytest.raises(ValueError, match="3 tokens must be in it"):
        choose_vocabulary(counts, counts, always=[0, 1, 2], sizes=[2])
    with pytest.raises(ValueError, match="no size"):
        choose_vocabulary(counts, counts, always=[], sizes=[])
