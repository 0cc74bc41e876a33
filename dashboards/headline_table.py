"""The table that answers the question: every arm against the baseline at every workload and load."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from dashboards.cost_cell import cost_cell
from dashboards.markup import head_row, marked, number_cell, scroll_table, text_cell
from dashboards.missing_values import NOT_MEASURED, MissingValues
from dashboards.number_format import decimals_for, loads, number, ratio, share
from dashboards.report_data import Comparison, Group, ReportData

NO_COMPARISON = "no comparison with the baseline was made"
WORD_ICONS = {"cheaper": "▼", "dearer": "▲", "cannot tell": "≈", "too few blocks": "○"}
_COLUMNS = ("Tokens/s", "$ per 1k tokens", "$ per 1k SLO tokens", "SLO met")


@dataclass(frozen=True, slots=True)
class _Columns:
    """Decimals shared by a kind of column, so that the points line up."""

    rate: int
    cost: int


def headline_table(data: ReportData, missing: MissingValues) -> str:
    """HTML of the table: a row per workload and load, a group of columns per arm."""
    rates = [group.output_tokens_per_s for group in data.groups]
    costs = [group.usd_per_1k_output_tokens for group in data.groups]
    costs += [group.usd_per_1k_slo_output_tokens for group in data.groups]
    columns = _Columns(decimals_for(rates), decimals_for(costs))
    rows = [
        _row(data, workload, streams, columns, missing)
        for workload in data.workloads
        for streams in data.streams
    ]
    caption = f"Output tokens, their price and the SLO, per arm; ratios are cost against {data.baseline}"
    return scroll_table(caption, _head(data), rows, "headline")


def _head(data: ReportData) -> str:
    groups = "".join(
        f'<th scope="colgroup" class="arm" colspan="{_width(arm, data)}">{escape(arm)}'
        f"{' <span class=soft>baseline</span>' if arm == data.baseline else ''}</th>"
        for arm in data.arms
    )
    titles = "".join(_titles(arm, data) for arm in data.arms)
    corner = '<th scope="col" rowspan="2" class="corner">Workload, load</th>'
    return f"<tr>{corner}{groups}</tr><tr>{titles}</tr>"


def _titles(arm: str, data: ReportData) -> str:
    numeric = "".join(
        f'<th scope="col" class="num{" first" if index == 0 else ""}">{title}</th>'
        for index, title in enumerate(_COLUMNS)
    )
    return numeric + ("" if arm == data.baseline else '<th scope="col">Cost against baseline</th>')


def _width(arm: str, data: ReportData) -> int:
    return len(_COLUMNS) + (arm != data.baseline)


def _row(data: ReportData, workload: str, streams: int, columns: _Columns, missing: MissingValues) -> str:
    cells = []
    for arm in data.arms:
        cells.append(_numbers(data.group(arm, workload, streams), columns, missing))
        if arm != data.baseline:
            cells.append(_against_baseline(data.comparison(arm, workload, streams), missing))
    return f"<tr>{_row_head(workload, streams)}{''.join(cells)}</tr>"


def _numbers(group: Group | None, columns: _Columns, missing: MissingValues) -> str:
    if group is None:
        dash = missing.dash(NOT_MEASURED)
        return number_cell(dash, css="first") + number_cell(dash) * (len(_COLUMNS) - 1)
    rate = missing.shown(
        group.output_tokens_per_s,
        lambda value: number(value, columns.rate),
        group.reasons.get("output_tokens_per_s"),
    )
    attainment = missing.shown(group.slo_attainment, share, group.reasons.get("slo_attainment"))
    costs = (
        cost_cell(getattr(group, name), columns.cost, group.reasons.get(name), missing)
        for name in ("usd_per_1k_output_tokens", "usd_per_1k_slo_output_tokens")
    )
    return f"{number_cell(rate, css='first')}{''.join(costs)}{number_cell(attainment)}"


def _against_baseline(comparison: Comparison | None, missing: MissingValues) -> str:
    if comparison is None:
        return text_cell(missing.dash(NO_COMPARISON), "against")
    details = "".join(f"<small>{detail}</small>" for detail in _details(comparison, missing))
    title = f' title="{escape(comparison.reason)}"' if comparison.reason else ""
    return f'<td class="against"{title}>{_verdict(comparison, missing)}{details}</td>'


def _verdict(comparison: Comparison, missing: MissingValues) -> str:
    word = marked(
        WORD_ICONS.get(comparison.word, "?"), comparison.word, escape(comparison.word.replace(" ", "-"))
    )
    return f"<strong>{missing.shown(comparison.cost_ratio, ratio, comparison.reason)}</strong> {word}"


def _details(comparison: Comparison, missing: MissingValues) -> list[str]:
    speed = f"speed {missing.shown(comparison.speedup, ratio, comparison.reason)}"
    if comparison.interval is not None:
        low, high = comparison.interval
        speed = f"95% interval {low:.2f} to {high:.2f}, {speed}"
    pairs = ", ".join(f"{pair:.2f}" for pair in comparison.pair_ratios)
    return [f"pairs {pairs}", speed] if pairs else [speed]


def ratio_table(data: ReportData, missing: MissingValues) -> str:
    """HTML of the ratios alone, a column per arm: with many arms the full table is too wide to compare."""
    contenders = [arm for arm in data.arms if arm != data.baseline]
    rows = []
    for workload in data.workloads:
        for streams in data.streams:
            cells = (
                text_cell(_verdict(found, missing) if found else missing.dash(NO_COMPARISON), "against")
                for found in (data.comparison(arm, workload, streams) for arm in contenders)
            )
            rows.append(f"<tr>{_row_head(workload, streams)}{''.join(cells)}</tr>")
    caption = f"Cost of 1,000 output tokens divided by that of {data.baseline}: below 1 is cheaper"
    return scroll_table(caption, head_row(("Workload, load", *contenders)), rows, "headline")


def _row_head(workload: str, streams: int) -> str:
    return f'<th scope="row">{escape(workload)} <span class="soft">{loads(streams)}</span></th>'
