"""Losslessness: what noise explains is excused, what it does not is counted, and one wrong token in 500 is found."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.divergence_count import upper_bound
from accounting.greedy_texts import GreedyText, divergence_at, margin_noise, shared_tokens
from accounting.losslessness import LEAST_POWER, Losslessness, LosslessnessWord, judge
from tests.accounting.greedy_passes import greedy_pass, true_logits


def simulated(
    seed: int, *, noise_nats: float, wrong_share: float = 0.0, prompts: int = 100, tokens: int = 32
) -> Losslessness:
    rng = np.random.default_rng(seed)
    truth = true_logits(rng, prompts, tokens)
    baseline = greedy_pass(rng, truth, noise_nats=noise_nats)
    again = greedy_pass(rng, truth, noise_nats=noise_nats)
    candidate = greedy_pass(rng, truth, noise_nats=noise_nats, wrong_share=wrong_share)
    return judge(baseline, again, candidate)


def text(*tokens: tuple[int, int, float]) -> GreedyText:
    """A text of (token, runner-up, margin)."""
    return GreedyText(
        tuple(token for token, _, _ in tokens), tuple(((other, gap),) for _, other, gap in tokens)
    )


@pytest.mark.parametrize("noise_nats", [0.0, 1e-5, 0.02])
def test_one_wrong_token_in_500_fails(noise_nats: float) -> None:
    """100 prompts of 32 tokens: exactly, in float32, and with the noise of 16-bit floats."""
    found = [simulated(seed, noise_nats=noise_nats, wrong_share=1 / 500) for seed in range(30)]
    caught = sum(result.word is LosslessnessWord.LOSSY for result in found)
    assert caught >= LEAST_POWER * len(found)
    assert not any(result.word is LosslessnessWord.LOSSLESS for result in found)


@pytest.mark.parametrize("noise_nats", [1e-5, 0.02, 0.1])
def test_noise_alone_is_not_called_lossy(noise_nats: float) -> None:
    found = [simulated(seed, noise_nats=noise_nats) for seed in range(100, 130)]
    assert not any(result.word is LosslessnessWord.LOSSY for result in found)
    if noise_nats <= 1e-5:
        assert all(result.candidate.excused == len(result.candidate.divergences) for result in found)


def test_the_stated_power_is_what_happens() -> None:
    """The share of lossy servers that are found, over simulations, is at least the power that the honest ones state."""
    stated = simulated(1, noise_nats=0.02, tokens=64).candidate.power
    found = [simulated(seed, noise_nats=0.02, wrong_share=1 / 500, tokens=64).word for seed in range(20)]
    assert sum(word is LosslessnessWord.LOSSY for word in found) / len(found) >= stated - 0.05


def test_the_bfloat16_noise_is_within_noise_and_counted() -> None:
    found = simulated(3, noise_nats=0.02, tokens=64)
    assert found.word is LosslessnessWord.WITHIN_NOISE
    assert found.candidate.excused > 0
    assert 0.02 < found.threshold_nats < 1
    assert f"{found.candidate.excused} first divergences" in found.reason


def test_equal_texts_are_lossless_with_a_bound_on_what_was_missed() -> None:
    found = simulated(1, noise_nats=0.0)
    assert found.word is LosslessnessWord.LOSSLESS
    assert (found.candidate.agreeing, found.candidate.tokens_compared) == (100, 3200)
    assert found.candidate.power > 0.99
    assert found.candidate.unexcused_share_upper == pytest.approx(1 - 0.05 ** (1 / 3200))


def test_too_few_prompts_cannot_tell() -> None:
    found = simulated(1, noise_nats=0.0, prompts=99, tokens=64)
    assert found.word is LosslessnessWord.CANNOT_TELL
    assert "99 prompts are too few" in found.reason


def test_too_few_tokens_cannot_tell() -> None:
    found = simulated(1, noise_nats=0.0, tokens=8)
    assert found.word is LosslessnessWord.CANNOT_TELL
    assert "800 positions only" in found.reason
    assert "chance of" in simulated(1, noise_nats=0.0, tokens=11).reason


def test_an_unstable_baseline_cannot_tell() -> None:
    """A baseline that gets tokens wrong itself must neither pass nor condemn anyone."""
    rng = np.random.default_rng(5)
    truth = true_logits(rng, 100, 64)
    baseline = greedy_pass(rng, truth, noise_nats=0.0)
    again = greedy_pass(rng, truth, noise_nats=0.0, wrong_share=1 / 100)
    found = judge(baseline, again, baseline)
    assert found.word is LosslessnessWord.CANNOT_TELL
    odd = greedy_pass(rng, truth, noise_nats=0.0, wrong_share=1 / 500)
    assert "not greedy" in judge(odd, odd, odd).reason


def test_noise_that_was_not_seen_neither_excuses_nor_condemns() -> None:
    """Both passes of the baseline equal to the last bit, a candidate that is computed another way."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        truth = true_logits(rng, 100, 64)
        baseline = greedy_pass(rng, truth, noise_nats=0.0)
        honest = judge(baseline, baseline, greedy_pass(rng, truth, noise_nats=0.02))
        assert honest.threshold_nats == 0
        assert honest.word is LosslessnessWord.CANNOT_TELL, honest.reason
        assert "own noise is not known" in honest.reason
        lossy = judge(baseline, baseline, greedy_pass(rng, truth, noise_nats=0.02, wrong_share=1 / 100))
        assert lossy.word is LosslessnessWord.LOSSY, lossy.reason
        exact = judge(baseline, baseline, greedy_pass(rng, truth, noise_nats=0.0, wrong_share=1 / 100))
        assert exact.word is LosslessnessWord.LOSSY, "its margins are the baseline's own: nothing moved"


def test_without_flips_the_noise_is_that_of_shared_tokens() -> None:
    first = [text((1, 2, 0.5), (3, 4, 0.2))]
    second = [text((1, 2, 0.4), (4, 3, 0.1))]
    assert margin_noise(first, second, flips=False) == pytest.approx([0.1])


def test_a_divergence_is_excused_by_a_small_gap_of_its_own_token() -> None:
    base = GreedyText((1, 2), (((9, 3.0),), ((7, 0.1), (8, 0.15))))
    second = [divergence_at(0, 1, base, text((1, 9, 3.0), (token, 2, 0.1)), 0.2) for token in (7, 8, 6)]
    assert [divergence.excused for divergence in second] == [True, True, False]
    assert [divergence.gap_nats for divergence in second] == [0.1, 0.15, None]
    assert not divergence_at(0, 1, base, text((1, 9, 3.0), (7, 2, 0.1)), 0.09).excused
    assert not divergence_at(0, 0, base, text((9, 1, 3.0)), 0.2).excused


def test_a_text_that_ends_elsewhere_diverges_unexcused() -> None:
    base, short = text((1, 9, 0.0), (2, 9, 0.0)), text((1, 9, 0.0))
    ended, went_on = divergence_at(0, 1, base, short, 1.0), divergence_at(0, 1, short, base, 1.0)
    assert (ended.token_id, ended.excused) == (None, False)
    assert (went_on.baseline_token_id, went_on.token_id, went_on.excused) == (None, 2, False)


def test_a_flip_counts_as_noise_with_the_sum_of_both_margins() -> None:
    first = [text((1, 2, 0.5), (3, 4, 0.2), (5, 6, 9.0))]
    second = [text((1, 2, 0.4), (4, 3, 0.1), (7, 8, 9.0))]
    assert margin_noise(first, second) == pytest.approx([0.1, 0.3])
    assert len(margin_noise([text((1, 2, 0.5))], [text((3, 2, 0.5))])) == 0


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=12), st.lists(st.integers(0, 3), min_size=1, max_size=12)
)
def test_shared_tokens_are_the_common_prefix(a: list[int], b: list[int]) -> None:
    shared = shared_tokens(*(text(*((token, 9, 1.0) for token in tokens)) for tokens in (a, b)))
    assert a[:shared] == b[:shared]
    assert shared == min(len(a), len(b)) or a[shared] != b[shared]


@given(st.integers(0, 40), st.integers(1, 5000))
def test_the_upper_bound_is_clopper_and_pearsons(events: int, more: int) -> None:
    """At the bound, so few events or fewer have a chance of 5 %."""
    trials = events + more
    bound = upper_bound(events, trials)
    chance = sum(
        math.exp(
            math.lgamma(trials + 1) - math.lgamma(n + 1) - math.lgamma(trials - n + 1)
            + n * math.log(bound) + (trials - n) * math.log1p(-bound)
        )
        for n in range(events + 1)
    )  # fmt: skip
    assert chance == pytest.approx(0.05, rel=1e-6)


def test_what_cannot_be_compared_is_refused() -> None:
    one = [text((1, 2, 0.5))]
    for passes in (([], [], []), (one, one, []), (one, one * 2, one)):
        with pytest.raises(ValueError, match="three passes"):
            judge(*passes)
    with pytest.raises(ValueError, match="at least one trial"):
        upper_bound(0, 0)
    with pytest.raises(ValueError, match="at least one other"):
        GreedyText((1,), ((),))
