from hypothesis import given
from hypothesis import strategies as st

from accounting.feasible_slo import LIMITS, loosened_words, nearest_feasible
from accounting.record_examples import failed, record
from accounting.records import RequestRecord
from accounting.slo import Slo, attainment


def answer(ttft_s: float, tpot_s: float) -> RequestRecord:
    return record([(ttft_s, 1), (ttft_s + 10 * tpot_s, 11)])


def test_only_the_limit_that_is_missed_gives_way() -> None:
    answers = [answer(0.2, 0.04 + 0.0001 * i) for i in range(100)]
    found = nearest_feasible(answers, Slo(1.0, 0.033, None, 0.95))
    assert found == Slo(1.0, 0.05, None, 0.95)
    assert loosened_words(Slo(1.0, 0.033), found) == "tpot_s 0.033 -> 0.05"


def test_an_slo_that_is_met_stays() -> None:
    slo = Slo(1.0, 0.05, None, 0.9)
    assert nearest_feasible([answer(0.2, 0.04)] * 9 + [answer(0.2, 0.4)], slo) == slo


def test_failures_count_against_it() -> None:
    answers = [answer(0.2, 0.04)] * 9 + [failed()]
    assert nearest_feasible(answers, Slo(1.0, 0.033, None, 0.95)) is None
    found = nearest_feasible(answers, Slo(1.0, 0.033, None, 0.9))
    assert found is not None
    assert found.tpot_s is not None
    assert 0.04 <= found.tpot_s <= 0.041
    assert nearest_feasible([], Slo()) is None


def test_each_limit_gives_way_only_as_far_as_it_must() -> None:
    """TTFT is missed tenfold, TPOT by a fifth: one factor for both would be ten times what TPOT needs."""
    found = nearest_feasible([answer(1.0, 0.04)] * 20, Slo(0.1, 0.033, None, 0.95))
    assert found == Slo(1.0, 0.041, None, 0.95) or found == Slo(1.0, 0.04, None, 0.95)


def test_with_headroom_a_search_would_find_it_feasible() -> None:
    answers, asked = [answer(0.2, 0.0325)] * 50, Slo(1.0, 0.033, None, 0.95)
    assert nearest_feasible(answers, asked) == asked
    found = nearest_feasible(answers, asked, headroom=0.05)
    assert found == Slo(1.0, 0.035, None, 0.95)
    assert attainment(answers, found.tightened(0.05)).requests.value == 1.0
    assert nearest_feasible(answers, found, headroom=0.05) == found


@given(
    st.lists(st.tuples(st.floats(0.01, 5), st.floats(0.001, 0.5)), min_size=1, max_size=40),
    st.floats(0.01, 5), st.floats(0.001, 0.5), st.one_of(st.none(), st.floats(0.05, 10)), st.floats(0.05, 1),
)  # fmt: skip
def test_what_is_found_is_met_and_no_limit_is_tightened(
    times: list[tuple[float, float]], ttft_s: float, tpot_s: float, e2e_s: float | None, floor: float
) -> None:
    answers, asked = [answer(*pair) for pair in times], Slo(ttft_s, tpot_s, e2e_s, floor)
    found = nearest_feasible(answers, asked)
    assert found is not None
    share = attainment(answers, found).requests.value
    assert share is not None
    assert share >= floor - 1e-9
    for name in LIMITS:
        before, after = getattr(asked, name), getattr(found, name)
        assert (before is None) == (after is None)
        assert before is None or after >= before
