"""The walk over matches counts what decoding with that draft would count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drafts.training.walk import Walked, chain_matches, together, walk_matches


def decoded(agrees: list[bool], k: int, first: int) -> tuple[int, list[int]]:
    """Step by step: draft k tokens, accept up to the first that is not the text's, then the target's own token."""
    steps, at, token = 0, [0] * k, first
    while token < len(agrees):
        steps += 1
        accepted = 0
        while accepted < k and token + accepted < len(agrees) and agrees[token + accepted]:
            at[accepted] += 1
            accepted += 1
        token += accepted + 1
    return steps, at


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 6), st.integers(0, 5))
def test_it_is_decoding(agrees: list[bool], k: int, first: int) -> None:
    walked = walk_matches(chain_matches(np.array(agrees), k), first)
    steps, at = decoded(agrees, k, first)
    assert (walked.steps, list(walked.accepted_at)) == (steps, at)
    tokens = max(0, len(agrees) - first)
    made = walked.steps + sum(walked.accepted_at)
    assert tokens <= made <= tokens + 1, "the last step's own token may lie behind the text"


def test_acceptance_length_is_one_and_the_survivals() -> None:
    walked = together([Walked(4, (3, 1)), Walked(6, (2, 1))])
    assert walked == Walked(10, (5, 2))
    assert walked.survival == (0.5, 0.2)
    assert walked.acceptance_length == pytest.approx(1.7)
    assert Walked(0, (0, 0)).acceptance_length == 1.0
    with pytest.raises(ValueError, match="no answer"):
        together([])
