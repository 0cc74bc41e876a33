"""A held-out prompt that stands in the training prompts is found; a shared template is none."""

from __future__ import annotations

import numpy as np
import pytest

from accounting.errors import ConfigError
from drafts.training.leak import overlaps, refuse_leaks

DICE = np.random.default_rng(5)
PREAMBLE = list(range(100, 130))


def prompt(length: int = 60) -> list[int]:
    return PREAMBLE + DICE.integers(1000, 30_000, length).tolist()


def test_a_shared_template_is_no_leak() -> None:
    trained = [prompt() for _ in range(50)]
    found = overlaps([(f"h{n}", prompt()) for n in range(10)], trained)
    assert max(one.share for one in found) < 0.05
    refuse_leaks(found)


def test_a_prompt_that_was_learned_is_named() -> None:
    trained = [prompt() for _ in range(50)]
    nearly = trained[7][:-20] + DICE.integers(1000, 30_000, 20).tolist()
    found = overlaps([("fresh", prompt()), ("same", trained[3]), ("nearly", nearly)], trained)
    assert [one.share > 0.5 for one in found] == [False, True, True]
    with pytest.raises(ConfigError, match=r"2 of 3 held-out prompts .* same \(100%\), nearly"):
        refuse_leaks(found)


def test_a_prompt_repeated_in_training_is_a_leak_all_the_same() -> None:
    repeated = prompt()
    trained = [prompt() for _ in range(30)] + [repeated] * 10
    (found,) = overlaps([("r", repeated)], trained)
    assert found.share == 1.0


def test_few_and_short_prompts() -> None:
    assert overlaps([], [[1, 2]]) == []
    (same,) = overlaps([("s", [1, 2, 3])], [[1, 2, 3]])
    (other,) = overlaps([("s", [1, 2, 3])], [[4, 5, 6], [7]])
    assert (same.share, other.share) == (1.0, 0.0)
