"""Figures draw what was measured: every repeat, whole tails, and no names of colours."""

import dataclasses
import math
from collections.abc import Callable

import pytest

from dashboards.arm_style import arm_styles
from dashboards.axes import load_axis, money_axis, time_axis
from dashboards.distribution import MAX_POINTS, empirical_curve
from dashboards.figure_sections import figure_sections
from dashboards.figures import acceptance_figure, latency_figure
from dashboards.load_figures import attainment_figure, cost_figure
from dashboards.report_data import Load, ReportData

Build = Callable[..., ReportData]


def test_cost_figure_has_a_dot_per_repeat_and_a_pooled_line_per_arm(report: Build) -> None:
    """Repeats are the only sight of the noise, so none is averaged away."""
    data = report(arms=3, levels=2, repeats=3)
    lines, dots = (
        cost_figure(data, "chat", "streams").data[0::2],
        cost_figure(data, "chat", "streams").data[1::2],
    )
    assert [len(line.x) for line in lines] == [2, 2, 2]
    assert [len(dot.x) for dot in dots] == [6, 6, 6]
    assert lines[0].y[0] == data.groups[0].usd_per_1k_output_tokens


def test_a_cell_that_is_not_valid_is_a_hollow_dot(report: Build) -> None:
    """A number that may not be compared must not look like one that may."""
    dots = cost_figure(report(), "chat", "streams").data[3]
    hollow = [symbol.endswith("-open") for symbol in dots.marker.symbol]
    assert hollow == ["not valid" in text for text in dots.hovertext]
    assert sum(hollow) == 1


def test_a_missing_pooled_cost_leaves_a_gap(report: Build) -> None:
    """A line never passes through zero for want of a value."""
    data = report()
    gap = dataclasses.replace(data.groups[0], usd_per_1k_output_tokens=None)
    figure = cost_figure(dataclasses.replace(data, groups=[gap, *data.groups[1:]]), "chat", "streams")
    assert figure.data[0].y[0] is None


def test_arms_differ_in_colour_and_shape_and_the_baseline_comes_first(report: Build) -> None:
    """Shape repeats colour; the baseline is neutral wherever it is listed."""
    styles = arm_styles(report(arms=5, baseline="ngram"))
    assert styles["ngram"].colour == 0
    assert len({style.colour for style in styles.values()}) == len({s.shape for s in styles.values()}) == 5


def test_more_arms_than_colours_still_differ(report: Build) -> None:
    """Colours run out before styles do."""
    names = ["plain", *(f"arm {index}" for index in range(20))]
    styles = arm_styles(dataclasses.replace(report(arms=1), arms=names))
    assert len(set(styles.values())) == len(names)


def test_slo_limit_and_floor_are_drawn(report: Build) -> None:
    """A limit is drawn where there is one, in the panel's unit."""
    data = report()
    assert attainment_figure(data, "chat", "streams").layout.shapes[0].y0 == 0.95
    assert latency_figure(data, "chat", "8 streams", "ttft_s", 0.1).layout.shapes[0].x0 == pytest.approx(100)
    assert not latency_figure(data, "chat", "8 streams", "ttft_s", None).layout.shapes


def test_latency_in_milliseconds_only_while_everything_fits(report: Build) -> None:
    """The unit follows the longest wait."""
    data = report()
    assert latency_figure(data, "chat", "1 stream", "tpot_s", None).layout.xaxis.title.text == "ms"
    assert latency_figure(data, "chat", "1 stream", "e2e_s", None).layout.xaxis.title.text == "s"


def test_acceptance_draws_only_arms_that_speculate(report: Build) -> None:
    """An arm without drafts has no acceptance, not an acceptance of zero."""
    names = {trace.name for trace in acceptance_figure(report(), "chat").data}
    assert names == {"ngram"}


def test_a_panel_without_data_says_so(report: Build) -> None:
    """Empty axes would look like a fault of the page."""
    data = report(groups=[], cells=[])
    for figure in (
        cost_figure(data, "chat", "streams"),
        latency_figure(data, "chat", "1 stream", "e2e_s", None),
    ):
        assert figure.layout.annotations[0].text == "nothing measured"


def test_curve_rises_from_nothing_to_all_and_keeps_both_ends() -> None:
    """Thinning may not cut a tail."""
    curve = empirical_curve([float(value) for value in range(1, 5001)])
    assert (curve.x[0], curve.y[0]) == (1.0, 0.0)
    assert (curve.x[-1], curve.y[-1]) == (5000.0, 1.0)
    assert len(curve.x) <= MAX_POINTS + 1
    assert curve.y == sorted(curve.y)


def test_curve_of_few_or_no_samples() -> None:
    """One sample is a step; none is no curve."""
    assert empirical_curve([math.nan]).x == []
    assert empirical_curve([2.0]).y == [0.0, 1.0]


def test_costs_that_spread_widely_get_a_logarithmic_axis() -> None:
    """Costs at high load stay legible beside those of a single stream."""
    assert money_axis([0.001, 0.002])["range"][0] == 0
    wide = money_axis([0.0005, 0.02])
    assert wide["type"] == "log"
    assert "$0.001" in wide["ticktext"]
    assert money_axis([])["range"] == [0, 1.12]


def test_time_axis_turns_logarithmic_for_a_long_tail() -> None:
    """One stall must not squash every other wait to the left edge."""
    assert "type" not in time_axis("ms", [1.0, 2.0, 3.0])
    assert time_axis("ms", [1.0, 2.0, 300.0])["type"] == "log"
    assert time_axis("ms", [])["range"] == [0, 1]


def test_load_axis_shows_the_loads_that_were_run() -> None:
    """Only measured loads are labelled, and the axis says what is counted."""
    axis = load_axis([8, 1, 64], "streams")
    assert axis["ticktext"] == ["1", "8", "64"]
    assert axis["title"]["text"] == "concurrent streams"
    assert load_axis([0.5, 2], "rate")["title"]["text"] == "offered requests/s"


def test_labels_of_neighbouring_loads_do_not_run_into_each_other() -> None:
    """A search ends among loads that lie close together."""
    assert load_axis([1, 2, 4, 8, 16, 15, 14], "streams")["ticktext"] == ["1", "2", "4", "8", "14"]
    chosen_first = load_axis([1, 2, 4, 8, 16, 15, 14], "streams", first=[15])
    assert chosen_first["ticktext"] == ["1", "2", "4", "8", "15"]


def test_a_load_axis_without_loads_has_no_labels() -> None:
    """An arm without capacity has no place on it."""
    assert not load_axis([], "streams")["showticklabels"]


def test_at_capacity_each_arm_stands_at_its_own_load_with_its_slo_price(capacity_report: Build) -> None:
    """There is no common load, and SLO tokens are what is compared there."""
    data = capacity_report()
    plain, plain_dots, ngram, ngram_dots = cost_figure(data, "chat", "streams").data
    assert (round(plain.x[0]), round(ngram.x[0])) == (8, 20)
    assert plain.y[0] == data.groups[0].usd_per_1k_slo_output_tokens
    assert [len(dots.x) for dots in (plain_dots, ngram_dots)] == [4, 4]
    assert "8 streams, repeat 1" in plain_dots.hovertext[0]


def test_at_rates_the_axis_counts_offered_requests(rate_report: ReportData) -> None:
    figure = cost_figure(rate_report, "chat", "rate")
    assert figure.layout.xaxis.title.text == "offered requests/s"
    assert figure.layout.xaxis.ticktext == ("0.5", "2")


def test_streams_and_rates_share_no_axis(report: Build) -> None:
    """Eight streams are not eight requests a second: each kind has a panel with its own points."""
    data = report()
    slow = dataclasses.replace(data.groups[0], load="0.5 requests/s", at=0.5)
    mixed = dataclasses.replace(
        data, loads=[*data.loads, Load("0.5 requests/s", "rate", 0.5)], groups=[*data.groups, slow]
    )
    figures = {plot: figure for part in figure_sections(mixed) for plot, figure in part.figures.items()}
    by_streams, by_rate = (figures[plot][0] for plot in ("cost-0", "cost-0-1"))
    assert by_streams.layout.xaxis.ticktext == ("1", "8")
    assert by_rate.layout.xaxis.ticktext == ("0.5",)
    assert [len(line.x) for line in by_rate.data[0::2]] == [1, 1]
    assert [list(line.y) for line in by_rate.data[0::2]] == [[slow.usd_per_1k_output_tokens], [None]]


def test_a_capacity_beside_fixed_loads_is_a_point_of_its_arm(report: Build) -> None:
    """It stands where the arm ran, between the loads that all arms ran at."""
    data = report()
    own = dataclasses.replace(data.groups[0], load="capacity", at=5)
    both = dataclasses.replace(
        data, loads=[*data.loads, Load("capacity", "streams", None)], groups=[*data.groups, own]
    )
    figure = cost_figure(both, "chat", "streams")
    assert [round(x) for x in figure.data[0].x] == [1, 5, 8]
    assert len(figure.data[2].x) == 2
    assert figure.layout.xaxis.ticktext == ("1", "5", "8")
