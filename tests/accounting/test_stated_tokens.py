import dataclasses

import pytest

from accounting.record_examples import record
from accounting.records import Chunks
from accounting.stated_tokens import tokens_between


def test_tokens_count_when_their_event_arrived() -> None:
    answer = record([(0.5, 1), (1.0, 4), (1.5, 6)])
    start = answer.intended_send_s
    assert tokens_between([answer], start, start + 2) == 6
    assert tokens_between([answer], start + 0.9, start + 1.4) == 3
    assert tokens_between([answer, answer], start + 1.4, start + 9) == 4


def test_a_server_that_counts_only_at_the_end_is_spread_evenly() -> None:
    answer = record([(1.0, 1), (3.0, 8)])
    silent = dataclasses.replace(
        answer, chunks=Chunks.of(dataclasses.replace(chunk, tokens=None) for chunk in answer.chunks)
    )
    start, middle = (
        silent.intended_send_s,
        (silent.first_text_s or 0) + (silent.end_s - (silent.first_text_s or 0)) / 2,
    )
    assert tokens_between([silent], start, silent.end_s + 1) == pytest.approx(8)
    assert tokens_between([silent], start, middle) == pytest.approx(4)


def test_nothing_stated_is_not_zero() -> None:
    answer = dataclasses.replace(record([(0.5, 1)]), completion_tokens=None)
    assert tokens_between([answer], 0, 1e9) is None
