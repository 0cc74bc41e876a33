"""Beside an arm with other numerics the page shows its quality, or says that nobody measured it."""

from collections.abc import Callable

from dashboards.missing_values import MissingValues
from dashboards.quality_table import quality_table
from dashboards.report import render_report
from dashboards.report_data import Estimate, Quality, ReportData

Build = Callable[..., ReportData]

MEASURED = Quality(
    "ngram",
    ("model.dtype",),
    set_name="gsm8k, 50 items",
    score=Estimate(0.04, (0.011, 0.135)),
    failures=2,
    perplexity=Estimate(3.8699, (3.4986, 4.2807)),
    score_difference=Estimate(-0.02, (-0.09, 0.05)),
    perplexity_ratio=Estimate(1.00032, (0.99991, 1.00073)),
)
WORDS = Quality(
    "plain", ("kv_cache.dtype",), words="quality not measured", command="kilotoken quality runs/x --arm <b>"
)


def test_a_measured_arm_shows_every_figure_with_its_interval(report: Build) -> None:
    page = quality_table(report(qualities=[MEASURED]), MissingValues())
    for said in ("4.0%", "1.1% to 13.5%", "3.8699", "3.4986 to 4.2807", "-2.0 points (-9.0 to +5.0)",
                 "1.00032", "0.99991 to 1.00073", "model.dtype", "gsm8k, 50 items", ">2<"):  # fmt: skip
        assert said in page, said


def test_an_unmeasured_arm_says_so_with_the_command_escaped(report: Build) -> None:
    page = quality_table(report(qualities=[WORDS]), MissingValues())
    assert "quality not measured" in page
    assert "kilotoken quality runs/x --arm &lt;b&gt;" in page


def test_what_is_missing_gives_its_reason_and_never_a_zero(report: Build) -> None:
    missing = MissingValues()
    bare = Quality(
        "ngram", ("model",), set_name="s, 3 items", score=Estimate(0.5, (0.1, 0.9)), reason="no /tokenize"
    )
    page = quality_table(report(qualities=[bare]), missing)
    assert page.count("–</abbr>") == 5
    assert "no /tokenize" in missing.section()


def test_the_section_is_there_only_where_numerics_differ(report: Build) -> None:
    assert "Quality where numerics differ" not in render_report(report())
    page = render_report(report(qualities=[WORDS, MEASURED]))
    assert page.index("Quality where numerics differ") < page.index("Every cell and its verdict")
