import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.quality.items import Judging, QualityItem
from workbench.quality.scoring import is_right, last_number, normalised


def item(expected: str, judging: Judging) -> QualityItem:
    return QualityItem("x", expected, expected, judging, 8)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("#### 18", "18"),
        ("He makes $70,000.", "70000"),
        ("16 - 3 - 4 = 9 and 9 * 2 = 18 dollars", "18"),
        ("it is 16-3", "3"),
        ("the change is -5.", "-5"),
        ("x = -$5.50", "-5.50"),
        ("2.50", "2.5"),
        ("18.0", "18"),
        ("so 12 (of 20 asked 3 times)", "3"),
        ("1. first 2. second: **42**", "42"),
    ],
)
def test_the_last_number_of_an_answer(text: str, number: str) -> None:
    assert last_number(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "no number", "####", "7" * 5000])
def test_an_answer_without_a_usable_number_is_wrong_and_no_error(text: str) -> None:
    assert last_number(text) is None
    assert not is_right(item("7", Judging.LAST_NUMBER), text)


def test_an_endless_answer_takes_no_endless_time() -> None:
    began = time.monotonic()
    last_number("1,2." * 200_000)
    last_number("-$" * 200_000)
    assert time.monotonic() - began < 2


def test_exact_and_contains_look_past_case_width_space_and_marks() -> None:
    assert is_right(item("Paris", Judging.EXACT), '  "PARIS".\n')
    assert not is_right(item("Paris", Judging.EXACT), "It is Paris")
    assert is_right(item("Paris", Judging.CONTAINS), "It is  ＰＡＲＩＳ, of course")
    assert not is_right(item("Paris", Judging.CONTAINS), "Rome")


@given(st.text())
def test_no_text_breaks_the_rules(text: str) -> None:
    last_number(text)
    assert normalised(normalised(text)) == normalised(text)
    assert is_right(item("a", Judging.CONTAINS), text + "A")


def test_code_is_not_judged_by_reading_it() -> None:
    with pytest.raises(ValueError, match="executing"):
        is_right(item("x", Judging.CODE), "x")
