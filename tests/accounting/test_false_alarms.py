"""1,000 simulated A/As: how often do the tests see a difference where there is none?"""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from accounting.comparison import Word, compare_costs
from accounting.margin import no_worse_than
from accounting.unpaired import compare_unpaired

TRIES = 1000
BAND = stats.binom.interval(0.99, TRIES, 0.05)
BLOCK_SD = 0.05

Noise = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def normal(dice: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return dice.normal(0, BLOCK_SD, shape)


def heavy(dice: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return dice.standard_t(3, shape) * BLOCK_SD


def pairs(noise: Noise, count: int, seed: int) -> np.ndarray:
    """Log-ratios of pairs of blocks that differ by noise alone, one row per A/A."""
    dice = np.random.default_rng(seed)
    return noise(dice, (TRIES, count)) - noise(dice, (TRIES, count))


@pytest.mark.parametrize("count", [4, 6, 10])
def test_normal_noise_raises_five_false_alarms_in_a_hundred(count: int) -> None:
    rows = pairs(normal, count, 11)
    alarms = sum(compare_costs(np.exp(row).tolist()).word is not Word.CANNOT_TELL for row in rows)
    assert BAND[0] <= alarms <= BAND[1]


@pytest.mark.parametrize("count", [4, 6, 10])
def test_heavy_tails_raise_no_more(count: int) -> None:
    """Student's t is conservative under heavy symmetric tails: the band's upper end holds, its lower need not."""
    rows = pairs(heavy, count, 12)
    alarms = sum(compare_costs(np.exp(row).tolist()).word is not Word.CANNOT_TELL for row in rows)
    assert alarms <= BAND[1]


@pytest.mark.parametrize("noise", [normal, heavy])
def test_the_sign_flip_test_is_exact_for_both(noise: Noise) -> None:
    """With ten pairs p takes steps of 2/1024: the level nearest below 5 % is 50/1024."""
    found = [compare_costs(np.exp(row).tolist()).sign_flip_p for row in pairs(noise, 10, 13)]
    alarms = sum(p is not None and p <= 0.05 for p in found)
    low, high = stats.binom.interval(0.99, TRIES, 50 / 1024)
    assert low <= alarms <= high


def test_four_arms_together_raise_no_more_than_one() -> None:
    dice = np.random.default_rng(14)
    alarms = 0
    for _ in range(TRIES):
        baseline = dice.normal(0, BLOCK_SD, 6)
        arms = dice.normal(0, BLOCK_SD, (4, 6)) - baseline
        words = [compare_costs(np.exp(row).tolist(), family=4).word for row in arms]
        alarms += any(word is not Word.CANNOT_TELL for word in words)
    assert 0 < alarms <= BAND[1]


def test_blocks_without_pairs_raise_no_more() -> None:
    dice = np.random.default_rng(15)
    alarms = 0
    for _ in range(TRIES):
        one, other = np.exp(dice.normal(0, BLOCK_SD, 5)), np.exp(dice.normal(0, 3 * BLOCK_SD, 8))
        alarms += compare_unpaired(one.tolist(), other.tolist()).word is not Word.CANNOT_TELL
    assert alarms <= BAND[1]


def test_an_arm_at_the_margin_passes_five_times_in_a_hundred() -> None:
    rows = pairs(normal, 6, 16) + np.log(1.03)
    passed = sum(no_worse_than(np.exp(row).tolist(), 0.03).shown for row in rows)
    assert BAND[0] <= passed <= BAND[1]
