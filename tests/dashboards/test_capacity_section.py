"""The section of the capacity searches shows every probe and takes no price from one."""

import dataclasses
import re
from collections.abc import Callable

import pytest

from accounting.errors import RunError
from dashboards.capacity_figure import RING_SIZE, capacity_figure
from dashboards.capacity_section import capacity_section
from dashboards.missing_values import MissingValues
from dashboards.probes_table import probes_table
from dashboards.report import render_report
from dashboards.report_data import ReportData

Build = Callable[..., ReportData]


def rows_of(table: str) -> list[str]:
    """The body's rows of a table."""
    return re.findall(r"<tr[ >].*?</tr>", table.split("<tbody>", 1)[1], re.DOTALL)


def test_every_arm_and_workload_has_its_load_and_its_sentence(capacity_report: Build) -> None:
    data = capacity_report()
    found = rows_of(capacity_section(data, MissingValues()).html.split("<figure>")[0])
    assert len(found) == len(data.searches) == 4
    by_key = {(s.workload, s.arm): s for s in data.searches}
    for row, key in zip(found, [(w, a) for w in data.workloads for a in data.arms], strict=True):
        assert by_key[key].sentence in row
    assert "<strong>8 streams</strong>" in found[0]
    assert "Confirmation blocks: the floor held in 4 of 4 blocks" in found[0]


def test_without_capacity_the_nearest_feasible_slo_is_named(capacity_report: Build) -> None:
    """An arm that meets the SLO at no load is answered, not left out."""
    row = rows_of(capacity_section(capacity_report(), MissingValues()).html)[3]
    assert "✗</span> none" in row
    assert "Nearest feasible SLO: TTFT ≤ 100 ms, TPOT ≤ 52 ms" in row
    assert "Confirmation blocks" not in row


def test_the_probes_stand_in_the_order_measured(capacity_report: Build) -> None:
    """A search is a story: sorted by load it could not be followed."""
    data = capacity_report()
    steps = [p.at for p in data.searches[1].probes]
    shown = [
        float(found[1])
        for row in rows_of(probes_table(data, MissingValues()))
        if "ngram" in row and ">chat<" in row and (found := re.search(r">([\d.]+) streams?<", row))
    ]
    assert shown == steps != sorted(steps)


def test_no_probe_is_left_out_and_the_chosen_one_says_so(capacity_report: Build) -> None:
    data = capacity_report()
    rows = rows_of(probes_table(data, MissingValues()))
    assert len(rows) == sum(len(search.probes) for search in data.searches)
    assert len([row for row in rows if "<small>chosen</small>" in row]) == 3


def test_the_page_says_where_prices_come_from(capacity_report: Build) -> None:
    """A price read off the probe that chose the load would be too good."""
    page = render_report(capacity_report())
    assert "prices come from the confirmation blocks" in page
    assert "the price of an arm comes from the confirmation blocks at the chosen load, not from these" in page


def test_a_probe_without_numbers_gives_its_reason(capacity_report: Build) -> None:
    missing = MissingValues()
    failed = next(row for row in rows_of(probes_table(capacity_report(), missing)) if ">28 streams<" in row)
    assert failed.count("–</abbr>") == 3
    assert "$0" not in failed
    assert "unjudged" in failed
    assert "the server ended" in missing.section()


def test_the_figure_draws_what_is_known_of_every_probe(capacity_report: Build) -> None:
    """A line per arm with an interval each, the floor, and a ring around the chosen load."""
    data = capacity_report()
    figure = capacity_figure(data, "chat", "streams")
    plain, plain_ring, ngram, ngram_ring = figure.data
    known = sorted((p for p in data.searches[1].probes if p.attainment is not None), key=lambda p: p.at)
    assert list(ngram.y) == [p.attainment for p in known]
    assert len(known) == len(data.searches[1].probes) - 1
    first = known[-1]
    assert first.attainment_interval is not None
    assert ngram.error_y.array[-1] == pytest.approx(first.attainment_interval[1] - first.attainment)
    assert ngram.error_y.arrayminus[-1] == pytest.approx(first.attainment - first.attainment_interval[0])
    assert [s.endswith("-open") for s in ngram.marker.symbol] == [p.decision == "unjudged" for p in known]
    assert [round(ring.x[0]) for ring in (plain_ring, ngram_ring)] == [8, 20]
    assert plain_ring.marker.size == RING_SIZE > plain.marker.size
    assert [shape.y0 for shape in figure.layout.shapes] == [0.95]
    assert figure.layout.xaxis.type == "log"


def test_an_arm_without_capacity_has_no_ring(capacity_report: Build) -> None:
    figure = capacity_figure(capacity_report(), "code-edit", "streams")
    assert [trace.name for trace in figure.data] == ["plain", "plain", "ngram"]


def test_the_headline_shows_each_arm_at_its_own_load(capacity_report: Build) -> None:
    """Two capacities side by side are not one load."""
    data = capacity_report()
    page = render_report(data)
    summary = page.split('id="summary"', 1)[1].split("</section>", 1)[0]
    chat, code = rows_of(summary)
    assert '<span class="soft">capacity</span>' in chat
    assert "<small>at 8 streams</small>" in chat
    assert "<small>at 20 streams</small>" in chat
    assert "of $ per 1k SLO output tokens" in chat
    assert "ratios are $ per 1k SLO output tokens against plain" in summary
    assert code.count(f'title="{data.searches[3].sentence}"') == 5  # four numbers and the comparison


def test_cells_say_at_which_load_they_ran(capacity_report: Build) -> None:
    cells = render_report(capacity_report()).split('id="cells"', 1)[1]
    assert cells.count('<td class="load">capacity<small>at 20 streams</small></td>') == 4


def test_slo_against_load_gives_way_to_the_probes(capacity_report: Build) -> None:
    """One point per arm is no curve; without searches the groups are drawn."""
    page = render_report(capacity_report())
    assert 'id="attainment-0"' not in page
    assert 'href="#capacity"' in page
    assert 'id="attainment-0"' in render_report(capacity_report(searches=[]))


def test_without_a_search_there_is_no_section(report: Build) -> None:
    assert 'id="capacity"' not in render_report(report())


def test_a_search_of_an_unlisted_arm_is_refused(capacity_report: Build) -> None:
    data = capacity_report()
    with pytest.raises(RunError, match="search's arm 'gone'"):
        dataclasses.replace(data, searches=[dataclasses.replace(data.searches[0], arm="gone")])
