"""The table of qualities: what an arm with other numerics scores, or that nobody measured it."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from dashboards.markup import head_row, marked, number_cell, row_head, scroll_table, text_cell
from dashboards.missing_values import MissingValues
from dashboards.number_format import number, share
from dashboards.report_data import Estimate, Quality, ReportData

_NUMBERS = (
    "Score", "95 % interval", "Failed", "Perplexity", "95 % of it", "Score against the baseline",
    "Perplexity ratio", "95 % of the ratio",
)  # fmt: skip
_COLUMNS = ("Arm", "Differs in", "Set", *_NUMBERS)


def quality_table(data: ReportData, missing: MissingValues) -> str:
    """HTML of one row per arm and set; empty where no arm's numerics differ from the baseline's."""
    if not data.qualities:
        return ""
    rows = (_row(quality, missing) for quality in data.qualities)
    caption = "Quality of arms whose numerics differ, asked the same items (ratio above 1: predicts worse)"
    return scroll_table(caption, head_row(_COLUMNS, _NUMBERS), rows)


def _row(quality: Quality, missing: MissingValues) -> str:
    differs = text_cell(escape(", ".join(quality.differs_in)) or "the baseline")
    if not quality.set_name:
        how = f" <code>{escape(quality.command)}</code>" if quality.command else ""
        words = marked("⚠︎", quality.words, "unfit") + escape(f" {quality.reason}".rstrip()) + how
        return f"<tr>{row_head(quality.arm)}{differs}<td colspan={len(_NUMBERS) + 1}>{words}</td></tr>"
    why = quality.reason
    cells = [
        row_head(quality.arm),
        differs,
        text_cell(escape(quality.set_name)),
        *_estimate(quality.score, share, why, missing),
        number_cell(number(quality.failures, 0)),
        *_estimate(quality.perplexity, _four, why, missing),
        number_cell(_points(quality.score_difference, missing, why)),
        *_estimate(quality.perplexity_ratio, _five, why, missing),
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _estimate(
    estimate: Estimate, form: Callable[[float], str], why: str, missing: MissingValues
) -> list[str]:
    value = number_cell(missing.shown(estimate.value, form, why))
    if estimate.interval is None:
        return [value, number_cell(missing.dash(why or "too few items for an interval"))]
    low, high = (escape(form(edge)) for edge in estimate.interval)
    return [value, number_cell(f"{low} to {high}")]


def _points(estimate: Estimate, missing: MissingValues, why: str) -> str:
    if estimate.value is None or estimate.interval is None:
        return missing.dash(why)
    low, high = estimate.interval
    return escape(f"{estimate.value * 100:+.1f} points ({low * 100:+.1f} to {high * 100:+.1f})")


def _four(value: float) -> str:
    return number(value, 4)


def _five(value: float) -> str:
    return number(value, 5)
