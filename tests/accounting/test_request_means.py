"""Mean lengths of requests; in the mean decode step each answer weighs as many steps as it has."""

from __future__ import annotations

from accounting.record_examples import failed, record
from accounting.request_means import RequestMeans, request_means


def test_longer_answers_have_more_steps() -> None:
    short = record([(0.1, 1), (0.2, 3)], prompt_tokens=100)
    long = record([(0.1, 1), (0.2, 21)], prompt_tokens=10)
    at_once = record([(0.1, 1)], prompt_tokens=40)
    means = request_means([short, long, at_once, failed()])
    assert means == RequestMeans(50.0, 25 / 3, (2 * 101.5 + 20 * 20.5) / 22)


def test_without_a_decode_step_there_are_none() -> None:
    assert request_means([record([(0.1, 1)]), failed(), record([(0.1, 9)], prompt_tokens=None)]) is None
