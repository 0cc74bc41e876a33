from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.energy import USABLE, EnergyCode, EnergyCounter, EnergyReading, MeterKind, window_energy

GPU = EnergyCounter("GPU 0", MeterKind.GPU_BOARD, step_s=0.1)
CPU = EnergyCounter("CPU package-0", MeterKind.CPU_PACKAGE, step_s=0.001, range_joules=65536.0)


def said(counter: EnergyCounter, at_s: float, joules: float | None, reason: str = "") -> EnergyReading:
    return EnergyReading(counter.meter, joules, at_s, reason)


def energy(
    counter: EnergyCounter, start: tuple[float, float], end: tuple[float, float]
) -> tuple[float | None, str]:
    found = window_energy(counter, said(counter, *start), said(counter, *end))
    return found.joules.value, found.code


def test_a_known_window_by_hand() -> None:
    """9900 J in 30 s are 330 W."""
    found = window_energy(GPU, said(GPU, 5.0, 1000.0), said(GPU, 35.0, 10900.0))
    assert (found.joules.value, found.watts.value, found.code) == (9900.0, 330.0, EnergyCode.VALID)


@given(
    st.lists(st.tuples(st.floats(11, 600), st.integers(1, 10**9)), min_size=2, max_size=5),
    st.integers(0, 10**12),
)
def test_adjacent_windows_add_up_to_the_whole(steps: list[tuple[float, int]], origin: int) -> None:
    """Millijoules, as NVML counts."""
    ends = accumulate(steps, lambda a, b: (a[0] + b[0], a[1] + b[1]), initial=(0.0, origin))
    readings = [said(GPU, at_s, millijoules / 1000.0) for at_s, millijoules in ends]
    parts = [window_energy(GPU, a, b).joules.value for a, b in pairwise(readings)]
    whole = window_energy(GPU, readings[0], readings[-1]).joules.value
    assert whole == pytest.approx(sum(part for part in parts if part is not None))
    assert None not in parts


@given(
    st.lists(st.tuples(st.floats(5, 60), st.floats(1, 900)), min_size=1, max_size=8),
    st.floats(0, 65535, exclude_max=True),
)
def test_a_counter_that_begins_anew_gives_the_truth_or_nothing(
    steps: list[tuple[float, float]], origin: float
) -> None:
    """Of steps of (seconds, watts): with a reading at each it is the truth, with the edges alone it is that or withheld."""
    ends = list(accumulate(steps, lambda a, b: (a[0] + b[0], a[1] + b[0] * b[1]), initial=(0.0, origin)))
    truth = ends[-1][1] - origin
    start, *between, end = (said(CPU, at_s, joules % 65536.0) for at_s, joules in ends)
    followed = window_energy(CPU, start, end, between)
    assert followed.joules.value == pytest.approx(truth)
    assert (followed.code is EnergyCode.WRAPPED) == (ends[-1][1] >= 65536.0)
    alone = window_energy(CPU, start, end)
    if alone.code in USABLE:
        assert alone.joules.value == pytest.approx(truth)
    else:
        assert (alone.code, alone.joules.value) == (EnergyCode.TOO_LONG, None)


def test_a_wrap_is_made_good_once() -> None:
    """536 J to the limit and 464 J after it."""
    assert energy(CPU, (0.0, 65000.0), (10.0, 464.0)) == (1000.0, "wrapped")


def test_a_counter_that_went_back_was_reset() -> None:
    found = window_energy(GPU, said(GPU, 0.0, 1500.0), said(GPU, 30.0, 1000.0))
    assert (found.joules.value, found.code) == (None, EnergyCode.RESET)
    assert found.joules.reason == "the counter went back by 500 J: it was reset in between"
    assert found.watts.reason == found.joules.reason


@pytest.mark.parametrize(
    ("start_joules", "end_joules"),
    [
        (30000.0, 100.0),  # a wrap would mean 35,636 J in 10 s
        (100.0, 30000.0),  # 2990 W
        (70000.0, 100.0),  # above its own limit
    ],
)
def test_what_no_package_draws_is_no_energy(start_joules: float, end_joules: float) -> None:
    assert energy(CPU, (0.0, start_joules), (10.0, end_joules)) == (None, "reset")


def test_a_window_in_which_it_may_have_begun_anew_unseen_is_too_long() -> None:
    """100 J in 120 s may as well be 65,636 J, which are 547 W. A look after 60 s decides."""
    start, end = said(CPU, 0.0, 100.0), said(CPU, 120.0, 200.0)
    found = window_energy(CPU, start, end)
    assert (found.joules.value, found.code) == (None, EnergyCode.TOO_LONG)
    assert "120 s" in found.joules.reason
    assert "65,536 J" in found.joules.reason
    assert window_energy(CPU, start, end, [said(CPU, 60.0, 150.0)]).joules.value == 100.0


def test_a_look_in_between_that_failed_is_passed_over() -> None:
    start, end = said(CPU, 0.0, 65000.0), said(CPU, 40.0, 464.0)
    between = [said(CPU, 20.0, None, "gone"), said(CPU, 30.0, 65500.0)]
    assert window_energy(CPU, start, end, between).joules.value == pytest.approx(1000.0)


def test_one_step_of_the_counter_must_be_below_a_hundredth_of_the_window() -> None:
    assert energy(GPU, (0.0, 0.0), (10.0, 500.0)) == (500.0, "valid")
    found = window_energy(GPU, said(GPU, 0.0, 0.0), said(GPU, 9.9, 500.0))
    assert (found.joules.value, found.code) == (None, EnergyCode.TOO_SHORT)
    assert "100 ms needs 10 s" in found.joules.reason


@pytest.mark.parametrize("counter", [GPU, CPU])
def test_a_counter_that_did_not_move_says_nothing(counter: EnergyCounter) -> None:
    """Some AMD boards' counters stand still for hours: never 0 J."""
    assert energy(counter, (0.0, 700.0), (30.0, 700.0)) == (None, "stuck")


REFUSED = said(GPU, 5.0, None, "for root alone")


@pytest.mark.parametrize(
    ("start", "end", "code", "reason"),
    [
        (None, said(GPU, 9.0, 1.0), EnergyCode.MISSING_EDGE, "window's start: it was not read"),
        (said(GPU, 1.0, 1.0), None, EnergyCode.MISSING_EDGE, "window's end: it was not read"),
        (None, None, EnergyCode.MISSING_EDGE, "window's start and end: it was not read"),
        (said(GPU, 1.0, 1.0), REFUSED, EnergyCode.MISSING_EDGE, "window's end: for root alone"),
        (REFUSED, said(GPU, 99.0, 1.0), EnergyCode.MISSING_EDGE, "window's start: for root alone"),
        (None, REFUSED, EnergyCode.MISSING_EDGE, "it was not read; for root alone"),
        (REFUSED, REFUSED, EnergyCode.NO_COUNTER, "for root alone"),
    ],
)
def test_an_edge_that_is_missing_is_never_zero(
    start: EnergyReading | None, end: EnergyReading | None, code: EnergyCode, reason: str
) -> None:
    found = window_energy(GPU, start, end)
    assert (found.joules.value, found.watts.value, found.code) == (None, None, code)
    assert found.joules.reason.endswith(reason)


def test_readings_in_the_wrong_order_or_of_another_meter_are_refused() -> None:
    with pytest.raises(ValueError, match="after the one before"):
        window_energy(GPU, said(GPU, 2.0, 1.0), said(GPU, 2.0, 2.0))
    with pytest.raises(ValueError, match="are of GPU 0"):
        window_energy(GPU, said(GPU, 2.0, 1.0), said(CPU, 32.0, 2.0))


@pytest.mark.parametrize(
    ("joules", "reason"), [(None, ""), (1.0, "why"), (-1.0, ""), (float("nan"), ""), (float("inf"), "")]
)
def test_a_reading_is_a_number_or_a_reason(joules: float | None, reason: str) -> None:
    with pytest.raises(ValueError, match=r"reading|joules"):
        EnergyReading("GPU 0", joules, 1.0, reason)
