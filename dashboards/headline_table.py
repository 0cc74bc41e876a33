"""The table that answers the question: every arm against the baseline at every workload and load."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from dashboards.comparison_cell import compared_metric, comparison_cell, comparison_verdict
from dashboards.cost_cell import cost_cell
from dashboards.markup import head_row, number_cell, scroll_table, text_cell
from dashboards.missing_values import NOT_MEASURED, MissingValues
from dashboards.number_format import decimals_for, loads, number, share
from dashboards.report_data import Load, ReportData

NO_COMPARISON = "no comparison with the baseline was made"
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
        _row(data, workload, load, columns, missing) for workload in data.workloads for load in data.loads
    ]
    ratios = f"{compared_metric(data) or 'latency'} against {data.baseline}"
    caption = f"Output tokens, their price and the SLO, per arm; ratios are {ratios}"
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
    against = "Cost against baseline" if compared_metric(data) else "Latency against baseline"
    return numeric + ("" if arm == data.baseline else f'<th scope="col">{against}</th>')


def _width(arm: str, data: ReportData) -> int:
    return len(_COLUMNS) + (arm != data.baseline)


def _row(data: ReportData, workload: str, load: Load, columns: _Columns, missing: MissingValues) -> str:
    cells = []
    for arm in data.arms:
        cells.append(_numbers(data, (arm, workload), load, columns, missing))
        if arm != data.baseline:
            found = data.comparison(arm, workload, load.label)
            cells.append(
                comparison_cell(found, missing)
                if found
                else text_cell(missing.dash(_no_comparison(data, arm, workload, load)), "against")
            )
    return f"<tr>{_row_head(workload, load)}{''.join(cells)}</tr>"


def _numbers(
    data: ReportData, of: tuple[str, str], load: Load, columns: _Columns, missing: MissingValues
) -> str:
    group = data.group(*of, load.label)
    if group is None:
        dash = missing.dash(_no_capacity(data, *of, load) or NOT_MEASURED)
        return number_cell(dash, css="first") + number_cell(dash) * (len(_COLUMNS) - 1)
    rate = missing.shown(
        group.output_tokens_per_s,
        lambda value: number(value, columns.rate),
        group.reasons.get("output_tokens_per_s"),
    )
    if load.value is None and group.at is not None:
        rate += f"<small>at {escape(loads(group.at, load.kind))}</small>"
    attainment = missing.shown(group.slo_attainment, share, group.reasons.get("slo_attainment"))
    costs = (
        cost_cell(getattr(group, name), columns.cost, group.reasons.get(name), missing)
        for name in ("usd_per_1k_output_tokens", "usd_per_1k_slo_output_tokens")
    )
    return f"{number_cell(rate, css='first')}{''.join(costs)}{number_cell(attainment)}"


def _no_capacity(data: ReportData, arm: str, workload: str, load: Load) -> str:
    """Why an arm could not run at its capacity: its search found none; empty otherwise."""
    search = data.search(arm, workload) if load.value is None else None
    return search.sentence if search and search.chosen is None else ""


def _no_comparison(data: ReportData, arm: str, workload: str, load: Load) -> str:
    without = (_no_capacity(data, each, workload, load) for each in (arm, data.baseline))
    return next(filter(None, without), NO_COMPARISON)


def ratio_table(data: ReportData, missing: MissingValues) -> str:
    """HTML of the ratios alone, a column per arm: with many arms the full table is too wide to compare."""
    contenders = [arm for arm in data.arms if arm != data.baseline]
    rows = []
    for workload in data.workloads:
        for load in data.loads:
            cells = (
                text_cell(
                    comparison_verdict(found, missing)
                    if (found := data.comparison(arm, workload, load.label))
                    else missing.dash(_no_comparison(data, arm, workload, load)),
                    "against",
                )
                for arm in contenders
            )
            rows.append(f"<tr>{_row_head(workload, load)}{''.join(cells)}</tr>")
    metric = compared_metric(data)
    what, better = (metric, "cheaper") if metric else ("Latency", "faster")
    caption = f"{what} divided by that of {data.baseline}: below 1 is {better}"
    return scroll_table(
        caption[0].upper() + caption[1:], head_row(("Workload, load", *contenders)), rows, "headline"
    )


def _row_head(workload: str, load: Load) -> str:
    return f'<th scope="row">{escape(workload)} <span class="soft">{escape(load.label)}</span></th>'
