"""The table of losslessness: did speculation change the answers, and what excuses a difference."""

from __future__ import annotations

from html import escape

from accounting.divergence_count import WRONG_RATE
from dashboards.markup import head_row, marked, number_cell, row_head, scroll_table, text_cell
from dashboards.missing_values import MissingValues
from dashboards.number_format import number, share
from dashboards.report_data import Losslessness, ReportData

EXPLAINED = (
    "The same prompts were answered greedily with and without speculation, and each text is compared with the "
    "baseline's up to the first token in which they differ. Speculation checks several tokens at once, and rounding "
    "can then turn a near-tie between the two likeliest tokens: a difference is excused where the baseline held the "
    "two as close as its own noise is large, which is measured by asking the baseline twice. A difference that is not "
    "excused is one that rounding does not explain. Power is the chance that a server with one wrong token in "
    f"{1 / WRONG_RATE:.0f} would have been found."
)
_NUMBERS = ("Texts", "Agree", "Excused", "Not excused", "Power")
_COLUMNS = ("Arm", "Dtype", "Verdict", *_NUMBERS, "Reason")
_LOOKS = {"lossless": ("✓", "fit"), "within numerical noise": ("✓", "fit"), "lossy": ("✗", "bad")}


def losslessness_table(data: ReportData, missing: MissingValues) -> str:
    """HTML of one row per arm and dtype under plain words; empty where nothing is known of any arm."""
    if not data.losslessness:
        return ""
    rows = (_row(row, missing) for row in data.losslessness)
    caption = f"Greedy answers of speculating arms against those of {data.baseline}"
    table = scroll_table(caption, head_row(_COLUMNS, _NUMBERS), rows)
    return f"<p>{escape(EXPLAINED)}</p>{table}"


def _row(row: Losslessness, missing: MissingValues) -> str:
    icon, css = _LOOKS.get(row.word, ("⚠︎", "unfit"))
    word = marked(icon, row.word, css)
    head = f"{row_head(row.arm)}{text_cell(escape(row.dtype))}"
    if not row.texts:
        words = word + escape(f" {row.reason}".rstrip())
        return f"<tr>{head}<td colspan={len(_COLUMNS) - 2}>{words}</td></tr>"
    counts = (row.texts, row.agreeing, row.excused, row.unexcused)
    cells = [
        text_cell(word),
        *(number_cell(number(count, 0)) for count in counts),
        number_cell(missing.shown(row.power, share, row.reason)),
        text_cell(escape(row.reason), "reason"),
    ]
    return f"<tr>{head}{''.join(cells)}</tr>"
