from accounting.answer_length import check_lengths
from accounting.record_examples import failed, record
from accounting.records import RequestRecord


def answered(tokens: int, expected: int | None) -> RequestRecord:
    return record([(0.1, 1), (0.9, tokens)], expected_tokens=expected)


def test_exact_lengths_pass_and_free_ones_are_not_checked() -> None:
    check = check_lengths([answered(32, 32)] * 10 + [answered(7, None)] * 10)
    assert (check.checked, check.reason) == (10, "")


def test_an_end_before_the_declared_length_is_drift() -> None:
    check = check_lengths([answered(32, 32)] * 49 + [answered(20, 32)])
    assert (check.shorter, check.longer) == (1, 0)
    assert "1 answers ended before" in check.reason


def test_longer_answers_are_drift_too() -> None:
    assert check_lengths([answered(40, 32)] * 5).longer == 5
    assert check_lengths([answered(40, 32)] * 5).reason


def test_one_in_many_that_hardly_changes_the_work_is_tolerated_but_counted() -> None:
    check = check_lengths([answered(32, 32)] * 199 + [answered(31, 32)])
    assert (check.shorter, check.reason) == (1, "")


def test_one_answer_that_changes_the_work_is_not() -> None:
    assert check_lengths([answered(2, 2)] * 199 + [answered(2, 400)]).reason


def test_failures_are_not_lengths() -> None:
    assert check_lengths([failed(expected_tokens=32)]).checked == 0
