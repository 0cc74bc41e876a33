import math
import random

import pytest

from accounting.likelihood import TextLikelihood, mean_difference, mean_nats


def test_texts_count_by_their_tokens() -> None:
    """3 nats over 3 tokens: a mean of the texts' own means would say 1.75."""
    found = mean_nats([TextLikelihood(1.0, 2), TextLikelihood(2.0, 1)])
    assert found.nats_per_token == pytest.approx(1.0)
    assert found.exponential == pytest.approx(math.e)
    assert found.interval is None, "two items carry no interval"
    assert (found.items, found.tokens) == (2, 3)


def test_equal_lengths_give_students_interval_of_a_mean() -> None:
    nats = [1.0, 2.0, 3.0, 4.0, 5.0]
    found = mean_nats([TextLikelihood(n * 10, 10) for n in nats])
    half = 2.7764451 * math.sqrt(2.5 / 5)
    assert found.interval == pytest.approx((3 - half, 3 + half))
    assert found.exponential_interval == pytest.approx((math.exp(3 - half), math.exp(3 + half)))


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    dice, held, rounds = random.Random(5), 0, 1000
    for _ in range(rounds):
        lengths = [dice.randint(20, 200) for _ in range(40)]
        texts = [TextLikelihood(sum(dice.gauss(2, 0.3) for _ in range(1)) * n, n) for n in lengths]
        low, high = mean_nats(texts).interval or (0, 0)
        held += low <= 2 <= high
    assert 0.92 < held / rounds < 0.97


def test_pairing_sees_what_two_intervals_hide() -> None:
    """Items differ by far more than the models do: only the paired difference is sure of its sign."""
    dice = random.Random(8)
    first = [TextLikelihood(dice.uniform(20, 200), 50) for _ in range(30)]
    second = [TextLikelihood(text.nats + dice.gauss(1, 0.5), 50) for text in first]
    (low, high), alone, other = (
        mean_difference(list(zip(first, second, strict=True))).interval or (0, 0),
        mean_nats(first).interval or (0, 0),
        mean_nats(second).interval or (0, 0),
    )
    assert 0 < low < 0.02 < high < 0.03
    assert alone[1] > other[0], "the two intervals overlap"


def test_what_cannot_be_reckoned_is_refused() -> None:
    with pytest.raises(ValueError, match="texts"):
        mean_nats([])
    with pytest.raises(ValueError, match="finite"):
        mean_nats([TextLikelihood(math.inf, 3)])
    with pytest.raises(ValueError, match="same tokens"):
        mean_difference([(TextLikelihood(1, 2), TextLikelihood(1, 3))])


def test_a_model_that_rules_the_text_out_has_no_finite_perplexity() -> None:
    assert mean_nats([TextLikelihood(9999.0, 1)]).exponential == math.inf
