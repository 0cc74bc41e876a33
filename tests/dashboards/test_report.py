"""The page as text: it fetches nothing, escapes everything, hides nothing."""

import dataclasses
import itertools
import json
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from plotly.offline import get_plotlyjs

from accounting.errors import RunError
from dashboards.page import embedded_json
from dashboards.report import render_report, slo_words
from dashboards.report_data import (
    LatencyRatio,
    Load,
    Losslessness,
    Price,
    Probe,
    ReportData,
    ResolvedDifference,
    Search,
    Slo,
)

Build = Callable[..., ReportData]

EVIL = '<script>alert("x")</script><img src=https://evil.example/x>'
FETCHED = re.compile(
    r"""(?:\b(?:src|href|srcset|action|poster)\s*=|@import|url\()\s*['"]?\s*(?:https?:)?//"""
)


def without_plotly(html: str) -> str:
    """The page less the library, whose source mentions map servers that scatter plots never contact."""
    return html.replace(get_plotlyjs(), "")


def figures_of(html: str) -> dict[str, Any]:
    """The figures as the page's script reads them."""
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', html, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def test_page_refers_to_nothing_that_a_browser_would_fetch(report: Build) -> None:
    """The report is read offline and years later."""
    page = without_plotly(render_report(report(3, 3, 3)))
    assert not FETCHED.search(page)
    assert "http://" not in page
    assert "https://" not in page
    assert "default-src 'none'" in page


def test_plotly_is_inlined_exactly_once(report: Build) -> None:
    """Without it no figure; twice would double five megabytes."""
    assert render_report(report()).count(get_plotlyjs()) == 1


def test_equal_data_gives_an_equal_page(report: Build) -> None:
    """Re-rendering a run must not change it."""
    assert render_report(report(3)) == render_report(report(3))


def with_evil_text(data: ReportData, word: Any = EVIL) -> ReportData:
    """The same report with markup in every text that a run can put there."""
    named = {data.arms[0]: EVIL + "a", data.arms[1]: EVIL + "b", data.workloads[0]: EVIL + "w"}

    def renamed(row: Any, **changes: Any) -> Any:
        return dataclasses.replace(
            row, arm=named[row.arm], workload=named[row.workload], load=EVIL + "l", **changes
        )

    probes = [
        Probe(1, 9, met, None, None, None, EVIL, EVIL, EVIL, EVIL)  # type: ignore[arg-type]
        for met in (None, 0.9)
    ]
    search = Search(
        named[data.arms[1]], named[data.workloads[0]], "streams", probes, 1, EVIL, 0.9, EVIL, EVIL
    )
    lossless = [Losslessness(named[data.arms[1]], EVIL, EVIL, texts, 0, 0, 0, None, EVIL) for texts in (0, 9)]
    latencies = [LatencyRatio(EVIL, None, None, EVIL)]

    return dataclasses.replace(
        data,
        title=EVIL, description=EVIL, created_at=EVIL, headline=EVIL, notice=EVIL,
        price=Price(1.0, EVIL, EVIL), baseline=named[data.baseline],
        arms=[named[arm] for arm in data.arms], workloads=[named[name] for name in data.workloads],
        groups=[
            renamed(g, ttft_p50_s=None, slo_attainment=None, reasons=dict.fromkeys(g.reasons, EVIL)) for g in data.groups
        ],
        cells=[renamed(c, verdict_throughput=EVIL, verdict_tails=EVIL, reason=EVIL) for c in data.cells],
        comparisons=[
            renamed(c, reason=EVIL, word=word, metric=EVIL, latencies=latencies) for c in data.comparisons
        ],
        loads=[dataclasses.replace(data.loads[0], label=EVIL + "l")], searches=[search], losslessness=lossless,
        resolved_differences=[ResolvedDifference(EVIL, EVIL, EVIL, EVIL)],
        provenance=[(EVIL, EVIL)], commands=[(EVIL, EVIL)], notes=[EVIL],
    )  # fmt: skip


@pytest.mark.parametrize("word", [EVIL, "equal by construction"])
def test_markup_in_any_text_is_shown_not_run(report: Build, word: str) -> None:
    """Names, errors and command lines come from outside."""
    page = without_plotly(render_report(with_evil_text(report(workloads=1, levels=1), word)))
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert" in page
    assert page.count("<script") == page.count("</script>") == 3


def test_names_inside_figures_are_escaped_for_plotly_too(report: Build) -> None:
    """Plotly reads markup in labels."""
    figures = figures_of(render_report(with_evil_text(report(workloads=1, levels=1))))
    for plot in ("cost-0", "acceptance-0", "capacity-probes-0"):
        texts = [t for f in figures[plot] for trace in f["data"] for t in trace.get("hovertext", [])]
        assert texts, plot
        assert not any("<script" in text or "<img" in text for text in texts), plot


def test_embedded_json_cannot_end_its_script_element() -> None:
    """The embedded text survives and holds nothing the parser acts on."""
    text = embedded_json({"name": "</script><!-- \u2028"})
    assert "<" not in text
    assert json.loads(text) == {"name": "</script><!-- \u2028"}


def test_embedded_json_refuses_nan() -> None:
    """NaN would break every figure at once in the browser."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        embedded_json(math.nan)


def test_missing_values_are_dashes_with_a_title_and_a_footnote(report: Build) -> None:
    """The reason is there on hover, on touch and on paper."""
    page = render_report(report())
    reason = "a 95th percentile needs 93 samples, there are 60"
    dash = f'<abbr class="missing" title="{reason}">–</abbr><sup><a href="#missing-1"'
    assert dash in page
    assert f'<li id="missing-1">{reason}</li>' in page


def test_a_group_that_was_not_measured_and_a_lost_reason_are_said(report: Build) -> None:
    """Absent rows and absent reasons are named too."""
    data = report()
    lost = dataclasses.replace(data.groups[0], slo_attainment=None)
    page = render_report(dataclasses.replace(data, groups=[lost], comparisons=[]))
    assert "this group was not measured" in page
    assert "no comparison with the baseline was made" in page
    assert "no reason was recorded" in page


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_counts_as_missing(report: Build, value: float) -> None:
    """NaN is neither a price nor a reason to fail."""
    data = report()
    broken = dataclasses.replace(data.groups[0], usd_per_1k_output_tokens=value, slo_attainment=value)
    page = without_plotly(render_report(dataclasses.replace(data, groups=[broken, *data.groups[1:]])))
    assert "the recorded value is not a finite number" in page
    assert "$nan" not in page
    assert "$inf" not in page


def test_ratio_pairs_and_word_stand_together(report: Build) -> None:
    """A ratio is never shown without what it rests on."""
    data = report()
    first = dataclasses.replace(data.comparisons[0], cost_ratio=0.714, pair_ratios=[0.7, 0.73], speedup=1.4)
    page = render_report(dataclasses.replace(data, comparisons=[first]))
    cell = re.search(r'<td class="against" title="[^"]*"><strong>0\.71×</strong>.*?</td>', page)
    assert cell
    assert "too few blocks" in cell[0]
    assert "pairs 0.70, 0.73" in cell[0]
    assert "speed 1.40×" in cell[0]


def test_interval_is_shown_when_there_is_one(report: Build) -> None:
    """A claim comes with its interval."""
    data = report(repeats=4)
    first = dataclasses.replace(data.comparisons[0], interval=(0.8, 0.9), word="cheaper")
    page = render_report(dataclasses.replace(data, comparisons=[first]))
    assert "95% interval 0.80 to 0.90" in page
    assert "▼</span> cheaper" in page


def test_costs_say_the_price_per_million_too(report: Build) -> None:
    """Others quote per million."""
    data = report()
    cheap = dataclasses.replace(data.groups[0], usd_per_1k_output_tokens=0.000412)
    page = render_report(dataclasses.replace(data, groups=[cheap]))
    assert 'title="$0.412 per million">$0.000412</td>' in page


def test_cells_that_are_not_valid_carry_an_icon_and_the_word(report: Build) -> None:
    """Colour is not the only sign, and the first column carries it."""
    page = render_report(report())
    assert re.search(r'<tr class=unfit><th scope="row">ngram<small>.*?⚠\ufe0e</span> not valid', page)
    assert re.search(r"⚠\ufe0e</span> too short", page)
    unreconciled = dataclasses.replace(
        report().cells[0], reconciled=False, reason="counters and records differ"
    )
    again = render_report(dataclasses.replace(report(), cells=[unreconciled]))
    assert re.search(r"⚠\ufe0e</span> no", again)
    assert "counters and records differ" in again


def test_without_speculation_the_page_says_so(report: Build) -> None:
    """No empty figure where nothing was drafted."""
    page = render_report(report(arms=1))
    assert "No arm speculates" in page
    assert not [plot for plot in figures_of(page) if plot.startswith("acceptance")]


def test_headings_descend_one_level_at_a_time(report: Build) -> None:
    """Screen readers walk the headings."""
    levels = [int(level) for level in re.findall(r"<h([1-6])", without_plotly(render_report(report(5))))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_every_table_has_a_caption_and_every_figure_a_sentence(report: Build, capacity_report: Build) -> None:
    """Nothing on the page stands without words."""
    for data in (report(3), capacity_report()):
        page = without_plotly(render_report(data))
        assert page.count("<table>") == page.count("<caption>") >= 4
        assert page.count("<figure>") == page.count("<figcaption>") == 4
    assert '<html lang="en">' in page
    assert "<noscript>" in page


def test_slo_in_words() -> None:
    """A limit that is not set is said to be none."""
    assert slo_words(Slo(1.0, 0.033, 0.95)) == "TTFT ≤ 1 s, TPOT ≤ 33 ms, for at least 95% of requests"
    assert slo_words(Slo()) == "no TTFT limit, no TPOT limit, no floor on the share met"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"arms": ["plain"]}, "ngram"),
        ({"baseline": "gone"}, "gone"),
        ({"loads": [Load("1 stream", "streams", 1)]}, "8 streams"),
    ],
)
def test_values_without_a_place_on_the_page_are_refused(report: Build, changes: Any, named: str) -> None:
    """A result of an unlisted arm would vanish."""
    with pytest.raises(RunError, match=named):
        dataclasses.replace(report(), **changes)


@pytest.mark.parametrize(
    "loads",
    [
        [],
        [Load("none", "streams", 0), Load("1 stream", "streams", 1)],
        [Load("none", "rate", 0.0)],
        [Load("endless", "rate", math.inf)],
    ],
)
def test_loads_that_load_nothing_are_refused(report: Build, loads: list[Load]) -> None:
    """A load of nothing has no place on a logarithmic axis."""
    with pytest.raises(RunError, match="at least one stream, or of a rate above 0"):
        report(loads=loads, groups=[], cells=[], comparisons=[])


def test_two_loads_of_one_label_are_refused(report: Build) -> None:
    """Rows are looked up by the label: one of the two would vanish."""
    twice = [Load("busy", "streams", 8), Load("busy", "rate", 2.0)]
    with pytest.raises(RunError, match="same label"):
        report(loads=twice, groups=[], cells=[], comparisons=[])


def test_a_row_that_ran_at_no_load_is_refused(report: Build) -> None:
    """Zero requests in flight cannot have been measured."""
    data = report()
    with pytest.raises(RunError, match="no load at all"):
        dataclasses.replace(data, groups=[dataclasses.replace(data.groups[0], at=0.0)])


def test_a_logarithmic_panel_says_so(report: Build) -> None:
    """Equal distances mean equal factors there, which a reader has to know."""
    page = without_plotly(render_report(report(levels=3)))
    assert "$ per 1k output tokens, log scale" in page
    assert "requests that met the SLO, log scale" not in page


def test_an_empty_run_still_renders(report: Build) -> None:
    """A run that failed at once still has a report."""
    page = render_report(report(groups=[], cells=[], comparisons=[], notes=[], provenance=[], commands=[]))
    assert "this group was not measured" in page
    assert "No command line was recorded" in page
