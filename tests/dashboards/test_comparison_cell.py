"""At an offered rate the page compares latency and says that cost cannot differ; elsewhere it names the metric."""

import dataclasses
from collections.abc import Callable

from dashboards.comparison_cell import compared_metric
from dashboards.report import render_report
from dashboards.report_data import ReportData

Build = Callable[..., ReportData]


def test_latencies_stand_where_cost_is_equal_by_construction(rate_report: ReportData) -> None:
    """A cost ratio of one would look like a finding."""
    page = render_report(rate_report)
    cell = page.split('<td class="against"', 1)[1].split("</td>", 1)[0]
    assert "=</span> cost equal by construction" in cell
    assert "TTFT p50 (s) <strong>0.81×</strong> (0.74 to 0.88)" in cell
    assert "▼</span> faster" in cell
    assert "speed" not in cell
    assert 'title="2 pairs of blocks' in cell  # why a latency is missing


def test_headings_speak_of_latency_where_it_is_compared(rate_report: ReportData) -> None:
    page = render_report(rate_report)
    assert "Latency against baseline" in page
    assert "ratios are latency against plain" in page
    assert "costs the same by construction" in page
    assert '<span class="soft">0.5 requests/s</span>' in page


def test_the_overview_of_many_arms_shows_the_latencies_too(report: Build, rate_report: ReportData) -> None:
    more = dataclasses.replace(rate_report, arms=["plain", "ngram", "suffix"])
    overview = render_report(more).split("<table>")[1]
    assert "Latency divided by that of plain: below 1 is faster" in overview
    assert "0.81×" in overview


def test_the_metric_is_named_where_it_is_not_the_usual_one(report: Build) -> None:
    data = report()
    assert "of $ per 1k" not in render_report(data)
    mixed = [dataclasses.replace(data.comparisons[0], metric="$ per <SLO> token"), *data.comparisons[1:]]
    page = render_report(dataclasses.replace(data, comparisons=mixed))
    assert page.count("of $ per &lt;SLO&gt; token") == 1
    assert "ratios are cost against plain" in page


def test_what_is_compared_in_words(report: Build, rate_report: ReportData) -> None:
    assert compared_metric(report()) == "$ per 1k output tokens"
    assert compared_metric(report(comparisons=[])) == "$ per 1k output tokens"
    assert compared_metric(rate_report) == ""
