"""Beside a speculating arm the page says whether its answers changed, and what excuses a change."""

from collections.abc import Callable

import pytest

from accounting.errors import RunError
from dashboards.losslessness_table import losslessness_table
from dashboards.missing_values import MissingValues
from dashboards.report import render_report
from dashboards.report_data import Losslessness, ReportData

Build = Callable[..., ReportData]

NOISY = Losslessness(
    "ngram", "bfloat16", "within numerical noise", 120, 31, 88, 1, 0.991, "31 of 120 <agree>"
)
UNMEASURED = Losslessness(
    "ngram", "", "losslessness not measured", 0, 0, 0, 0, None, "kilotoken losslessness <run>"
)


def test_a_verdict_stands_beside_all_that_it_rests_on(report: Build) -> None:
    table = losslessness_table(report(losslessness=[NOISY]), MissingValues())
    for said in ("bfloat16", "✓</span> within numerical noise", ">120<", ">31<", ">88<", ">1<", "99.1%",
                 "31 of 120 &lt;agree&gt;", "against those of plain"):  # fmt: skip
        assert said in table, said


def test_it_says_in_plain_words_what_excused_and_power_mean(report: Build) -> None:
    table = losslessness_table(report(losslessness=[NOISY]), MissingValues())
    assert (
        "a difference is excused where the baseline held the two as close as its own noise is large" in table
    )
    assert "one wrong token in 500 would have been found" in table


@pytest.mark.parametrize(
    ("word", "icon"), [("lossless", "✓"), ("lossy", "✗"), ("cannot tell", "⚠︎"), ("a new word", "⚠︎")]
)
def test_the_icon_repeats_the_word(report: Build, word: str, icon: str) -> None:
    """Only a verdict that is known to be good looks good."""
    row = Losslessness("ngram", "float32", word, 100, 100, 0, 0, 1.0, "")
    table = losslessness_table(report(losslessness=[row]), MissingValues())
    assert f"{icon}</span> {word}" in table
    assert table.count("✓") == (icon == "✓")


def test_an_unmeasured_arm_says_so_and_shows_no_zeros(report: Build) -> None:
    table = losslessness_table(report(losslessness=[UNMEASURED]), MissingValues())
    assert "losslessness not measured" in table
    assert "kilotoken losslessness &lt;run&gt;" in table
    assert ">0<" not in table


def test_an_unknown_power_is_a_dash_with_the_reason(report: Build) -> None:
    missing = MissingValues()
    row = Losslessness("ngram", "float32", "cannot tell", 12, 12, 0, 0, None, "12 prompts are too few")
    assert losslessness_table(report(losslessness=[row]), missing).count("–</abbr>") == 1
    assert "12 prompts are too few" in missing.section()


def test_the_section_stands_beside_the_quality_and_only_where_something_is_known(report: Build) -> None:
    assert "Did speculation change the answers?" not in render_report(report())
    page = render_report(report(losslessness=[NOISY]))
    assert page.index("Did speculation change the answers?") < page.index("Every cell and its verdict")


def test_an_unlisted_arm_is_refused(report: Build) -> None:
    with pytest.raises(RunError, match="losslessness's arm 'ngram'"):
        report(arms=1, losslessness=[NOISY])
