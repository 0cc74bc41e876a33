"""Rate profiles: their arithmetic against plain numerical integration, and the words they are written in."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.errors import ConfigError
from loadtest.arrivals import RateProfile, format_arrivals, format_rates, parse_arrivals, parse_rates
from loadtest.arrivals.rate_words import parse_duration_s
from loadtest.config import RateSegment

rates = st.one_of(st.just(0.0), st.floats(0.01, 500))
lasting = st.builds(RateSegment, start=rates, end=rates, duration_s=st.floats(0.5, 300))
last = st.builds(lambda rate: RateSegment(start=rate, end=rate, duration_s=0.0), st.floats(0.01, 500))
profiles = st.tuples(st.lists(lasting, max_size=5), last).map(lambda parts: (*parts[0], parts[1]))


def test_a_ramp_between_two_steps() -> None:
    profile = RateProfile(parse_rates("2@30s,2-10@60s,10@30s"))
    assert profile.duration_s == 120
    assert profile.rate([0, 29.9, 30, 60, 90, 500]).tolist() == [2, 2, 2, 6, 10, 10]
    assert profile.expected_arrivals([-1, 0, 30, 60, 90, 120, 130]).tolist() == [0, 0, 60, 180, 420, 720, 820]
    assert profile.instant_s([0, 60, 180, 420, 720, 820]).tolist() == pytest.approx([0, 30, 60, 90, 120, 130])


def test_a_step_takes_the_new_rate_at_its_instant() -> None:
    assert RateProfile(parse_rates("1@10s,5")).rate([10.0]).tolist() == [5]


def test_nothing_arrives_in_a_pause_and_nothing_after_a_last_rate_of_zero() -> None:
    profile = RateProfile(parse_rates("1@10s,0@60s,2@5s,0"))
    assert profile.instant_s([10, 10.5, 20, 20.1]).tolist() == pytest.approx([10, 70.25, 75, math.inf])
    assert profile.expected_arrivals([10, 40, 70, 1000]).tolist() == [10, 10, 10, 20]


def test_a_ramp_down_to_zero_ends_where_it_should() -> None:
    profile = RateProfile(parse_rates("4-0@10s"))
    assert profile.instant_s([20]).tolist() == pytest.approx([10])
    assert profile.instant_s([20.001]).tolist() == [math.inf]


@given(profiles, st.floats(0, 2000))
def test_expected_arrivals_are_the_integral_of_the_rate(
    segments: tuple[RateSegment, ...], until_s: float
) -> None:
    """The trapezoid rule is exact between the corners of a piecewise linear rate."""
    corners = np.cumsum([0.0] + [segment.duration_s for segment in segments])
    grid = np.unique(np.append(corners[corners < until_s], [0.0, until_s]))
    profile = RateProfile(segments)
    middles = profile.rate((grid[:-1] + grid[1:]) / 2)
    assert profile.expected_arrivals(until_s) == pytest.approx(
        float(middles @ np.diff(grid)), rel=1e-9, abs=1e-9
    )


@given(profiles, st.lists(st.floats(0, 1e5), min_size=1, max_size=30))
def test_instants_undo_expected_arrivals_and_never_go_backwards(
    segments: tuple[RateSegment, ...], counts: list[float]
) -> None:
    profile = RateProfile(segments)
    instants = profile.instant_s(sorted(counts))
    assert np.all(np.diff(instants) >= 0)
    assert profile.expected_arrivals(instants).tolist() == pytest.approx(sorted(counts), rel=1e-9, abs=1e-6)


def test_rounding_carries_no_arrival_past_its_segment() -> None:
    """At the corner the root cancels: without a bound these three go backwards by 2e-12 s."""
    segments = [
        RateSegment(34.870342879675526, 0.026771452773272086, 47.81115729059055),
        RateSegment(100, 100, 0),
    ]
    corner = float(RateProfile(segments).expected_arrivals(47.81115729059055))
    around = [np.nextafter(corner, 0), corner, np.nextafter(corner, 1e9)]
    assert np.all(np.diff(RateProfile(segments).instant_s(around)) >= 0)


@given(profiles)
def test_written_rates_are_read_back_exactly(segments: tuple[RateSegment, ...]) -> None:
    assert parse_rates(format_rates(segments)) == segments


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("10", [(10, 10, 0)]),
        (" 0.5 ", [(0.5, 0.5, 0)]),
        ("10@60s", [(10, 10, 60)]),
        ("2-10@60", [(2, 10, 60)]),
        ("2 - 10 @ 1.5 min, 3", [(2, 10, 90), (3, 3, 0)]),
        ("1@500ms,2@2h", [(1, 1, 0.5), (2, 2, 7200)]),
        ("1e-1@1e2s", [(0.1, 0.1, 100)]),
    ],
)
def test_what_the_command_line_may_say(text: str, segments: list[tuple[float, float, float]]) -> None:
    assert [(s.start, s.end, s.duration_s) for s in parse_rates(text)] == segments


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        ("", "'' is no rate", "10@60s"),
        ("fast", "'fast' is no rate", ""),
        ("-3", "'-3' is no rate", ""),
        ("2,10", "segment 1 does not say how long", ""),
        ("2-10", "segment 1 does not say how long", ""),
        ("2@10s,,3", "'' is no rate", ""),
        ("2@10sec", "unit 'sec' is unknown; allowed: ms, s, min, h", "10s"),
        ("2@10m", "unit 'm' is unknown", "did you mean 10m"),
        ("2@", "'' is no duration", ""),
        ("2@0s,3", "lasts no time", ""),
        ("0", "every rate is 0", ""),
        ("0@10s,0", "every rate is 0", ""),
        ("1e999", "start is inf", ""),
    ],
)
def test_wrong_rates_are_refused_with_what_is_allowed(text: str, words: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_rates(text)
    assert words in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "segment", [(math.nan, 1, 1), (1, -1, 1), (1, 1, math.inf), (1, 1, -1), (1, 2, 0)], ids=str
)
def test_impossible_segments_are_refused(segment: tuple[float, float, float]) -> None:
    with pytest.raises(ConfigError):
        RateProfile([RateSegment(*segment)])


def test_a_profile_without_segments_is_refused() -> None:
    with pytest.raises(ConfigError):
        RateProfile([])


def test_kinds_of_arrivals() -> None:
    assert [parse_arrivals(text) for text in ("poisson", " Constant ", "gamma:2.5")] == [1.0, 0.0, 2.5]
    assert [format_arrivals(cv) for cv in (1.0, 0.0, 2.5, 2.0)] == [
        "poisson",
        "constant",
        "gamma:2.5",
        "gamma:2",
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [("posson", "'poisson'"), ("uniform", "poisson is"), ("gamma", "gamma:2"), ("gamma:0", "gamma:2"),
     ("gamma:x", "gamma:2"), ("poisson:2", "'poisson'"), ("gamma:nan", "gamma:2")],
)  # fmt: skip
def test_wrong_kinds_of_arrivals_are_refused(text: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_arrivals(text)
    assert hint in caught.value.hint


def test_durations() -> None:
    assert [parse_duration_s(text) for text in ("90", "90s", "1.5 min", "250ms", "2h")] == [
        90,
        90,
        90,
        0.25,
        7200,
    ]
    for wrong in ("", "s", "-1s", "1s2", "1 day"):
        with pytest.raises(ConfigError):
            parse_duration_s(wrong)
