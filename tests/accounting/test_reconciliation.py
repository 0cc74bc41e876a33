from hypothesis import given
from hypothesis import strategies as st

from accounting import metric_names as names
from accounting.counters import CounterChange
from accounting.reconciliation import reconcile
from accounting.record_examples import failed, record
from accounting.records import Outcome


def change(output: float, prompt: float) -> CounterChange:
    return CounterChange(30.0, 0.0, {names.GENERATION_TOKENS: output, names.PROMPT_TOKENS: prompt})


@given(st.lists(st.integers(1, 500), min_size=1, max_size=50), st.integers(-300, 300))
def test_agreement_is_to_the_token(lengths: list[int], error: int) -> None:
    records = [record([(0.1, n)]) for n in lengths]
    result = reconcile(records, change(sum(lengths) + error, 10 * len(lengths)), max_output_tokens=500)
    assert result.reconciled == (error == 0)
    assert bool(result.reason) == (error != 0)


def test_a_request_lost_in_mid_stream_widens_equality_to_its_own_bound() -> None:
    records = [record([(0.1, 40)]), failed(Outcome.TRUNCATED, http_status=200)]
    assert reconcile(records, change(40 + 64, 20), max_output_tokens=64).reconciled
    assert not reconcile(records, change(40 + 65, 20), max_output_tokens=64).reconciled
    assert not reconcile(records, change(39, 20), max_output_tokens=64).reconciled


def test_a_request_that_was_refused_leaves_no_tokens_behind() -> None:
    records = [record([(0.1, 40)]), failed(Outcome.HTTP_ERROR, http_status=429)]
    assert reconcile(records, change(40, 10), max_output_tokens=64).bound == 0


def test_prompt_tokens_must_agree_too() -> None:
    result = reconcile([record([(0.1, 40)])], change(40, 11), max_output_tokens=64)
    assert not result.reconciled
    assert "prompt tokens" in result.reason


def test_token_ids_are_the_third_count() -> None:
    records = [record([(0.1, 40)], token_ids_count=40), record([(0.1, 40)], token_ids_count=39)]
    result = reconcile(records, change(80, 20), max_output_tokens=64)
    assert result.token_ids_checked == 2
    assert result.token_ids_differ == 1
    assert not result.reconciled


def test_no_answer_at_all_is_not_agreement() -> None:
    assert not reconcile([], change(0, 0), max_output_tokens=64).reconciled
