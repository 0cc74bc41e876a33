from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting import latency_columns
from accounting.record_columns import as_columns
from accounting.record_examples import failed, record
from accounting.records import Chunks
from tests.accounting import latency_of_one


def test_ttft_starts_at_the_intended_send_not_at_the_actual_one() -> None:
    late = record([(0.5, 1), (0.6, 2)], sent_s=100.3)
    assert latency_of_one.ttft_s(late) == pytest.approx(0.5)
    assert latency_of_one.send_lag_s(late) == pytest.approx(0.3)


def test_tpot_counts_tokens_not_chunks() -> None:
    """Two chunks after the first carry nine tokens: TPOT is 1.8 s / 9, the chunk gap 0.9 s."""
    speculated = record([(0.2, 1), (1.1, 6), (2.0, 10)])
    assert latency_of_one.tpot_s(speculated) == pytest.approx(0.2)
    assert latency_of_one.chunk_gaps_s(speculated) == pytest.approx([0.9, 0.9])


def test_tpot_leaves_out_all_tokens_of_the_first_chunk() -> None:
    assert latency_of_one.tpot_s(record([(0.2, 4), (1.2, 9)])) == pytest.approx(1.0 / 5)


@given(st.lists(st.tuples(st.floats(0.001, 1.0), st.integers(1, 8)), min_size=2, max_size=30))
def test_tpot_times_tokens_plus_ttft_is_e2e(steps: list[tuple[float, int]]) -> None:
    at, tokens, chunks = 0.0, 0, []
    for gap, count in steps:
        at, tokens = at + gap, tokens + count
        chunks.append((at, tokens))
    answered = record(chunks)
    ttft, tpot, e2e = (
        latency_of_one.ttft_s(answered),
        latency_of_one.tpot_s(answered),
        latency_of_one.e2e_s(answered),
    )
    assert ttft is not None
    assert tpot is not None
    assert e2e == pytest.approx(ttft + tpot * (tokens - chunks[0][1]))


def test_a_failure_never_becomes_a_latency() -> None:
    for of in (latency_of_one.ttft_s, latency_of_one.tpot_s, latency_of_one.e2e_s):
        assert of(failed()) is None


def test_a_censored_first_token_voids_ttft_and_tpot_but_not_the_request() -> None:
    answered = record([(0.2, 1), (0.4, 2)], first_text_censored=True)
    answered = replace(
        answered, chunks=Chunks.of([replace(answered.chunks[0], censored=True), *list(answered.chunks)[1:]])
    )
    assert latency_of_one.ttft_s(answered) is None
    assert latency_of_one.tpot_s(answered) is None
    assert latency_of_one.e2e_s(answered) == pytest.approx(0.4)
    assert len(latency_of_one.chunk_gaps_s(answered)) == 0
    assert latency_columns.censored_share(as_columns([answered])) == 0.5


def test_an_answer_of_one_chunk_has_no_tpot() -> None:
    assert latency_of_one.tpot_s(record([(0.2, 7)])) is None
