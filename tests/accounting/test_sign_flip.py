import math

import numpy as np
import pytest

from accounting.sign_flip import ENUMERATED_PAIRS, sign_flip_p


def test_pairs_that_all_agree_have_the_smallest_p_there_is() -> None:
    assert sign_flip_p([0.1] * 4) == pytest.approx(2 / 16)
    assert sign_flip_p([-0.1, -0.2, -0.3, -0.4, -0.5, -0.6]) == pytest.approx(2 / 64)


def test_the_p_value_is_counted_by_hand() -> None:
    """1 + 2 - 3 = 0: every pattern is at least as far. 3 + 1 - 1 = 3: sums of 5 (2), 3 (4), 1 (2): 6 of 8."""
    assert sign_flip_p([1, 2, -3]) == 1.0
    assert sign_flip_p([3, 1, -1]) == pytest.approx(6 / 8)


def test_many_pairs_are_sampled_with_a_seed_and_agree_with_the_normal_limit() -> None:
    logs = np.random.default_rng(5).normal(0.02, 0.05, ENUMERATED_PAIRS + 14)
    p = sign_flip_p(logs)
    assert p == sign_flip_p(logs)
    z = abs(float(logs.sum())) / math.sqrt(float(np.sum(logs**2)))
    assert p == pytest.approx(math.erfc(z / math.sqrt(2)), abs=0.01)
    assert sign_flip_p([0.1] * 30) == pytest.approx(1 / 65_537)


def test_nothing_to_flip_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        sign_flip_p([])
