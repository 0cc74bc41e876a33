"""The tables behind the headline: every cell with its verdict, every group, how the servers differed."""

from __future__ import annotations

from html import escape

from accounting.verdicts import Verdict
from dashboards.cost_cell import cost_cell
from dashboards.markup import head_row, marked, number_cell, row_head, scroll_table, text_cell
from dashboards.missing_values import MissingValues
from dashboards.number_format import decimals_for, duration, loads, number, share
from dashboards.report_data import Cell, Group, ReportData
from dashboards.verdict_mark import verdict_mark

_CELL_NUMBERS = (
    "Repeat", "Output tokens", "Window", "Tokens/s", "$ per 1k tokens", "$ per 1k SLO tokens",
    "Requests", "Failed",
)  # fmt: skip
_CELL_COLUMNS = ("Arm", "Workload", "Load", *_CELL_NUMBERS, "Counts agree", "Throughput", "Tails", "Reason")
_GROUP_NUMBERS = (
    "Requests", "Failed", "TTFT p50", "TTFT p95", "TPOT p50", "TPOT p95", "Acceptance length",
    "Acceptance rate", "Tokens per step",
)  # fmt: skip
_GROUP_TIMES = ("ttft_p50_s", "ttft_p95_s", "tpot_p50_s", "tpot_p95_s")


def cells_table(data: ReportData, missing: MissingValues) -> str:
    """HTML of one row per repeat; a cell whose cost may not be compared carries an icon and the word.

    Tails have a column of their own: a cell too short for a p95 still has a valid cost.
    """
    costs = [cell.usd_per_1k_output_tokens for cell in data.cells]
    costs += [cell.usd_per_1k_slo_output_tokens for cell in data.cells]
    rate = decimals_for(cell.output_tokens_per_s for cell in data.cells)
    rows = (_cell_row(data, cell, rate, decimals_for(costs), missing) for cell in data.cells)
    caption = "Every measured cell: one arm at one workload and load, once"
    return scroll_table(caption, head_row(_CELL_COLUMNS, _CELL_NUMBERS), rows, "tall")


def _cell_row(data: ReportData, cell: Cell, rate: int, cost: int, missing: MissingValues) -> str:
    why = cell.reason
    verdicts = (cell.verdict_throughput, cell.verdict_tails)
    fit = cell.reconciled and cell.verdict_throughput == Verdict.VALID
    parts = [
        row_head(cell.arm, "" if fit else marked("⚠︎", "not valid", "unfit")),
        text_cell(escape(cell.workload)),
        _load_cell(data, cell),
        number_cell(str(cell.repeat)),
        number_cell(missing.shown(cell.output_tokens, lambda tokens: number(tokens, 0), why)),
        number_cell(missing.shown(cell.window_s, lambda seconds: f"{number(seconds, 1)} s", why)),
        number_cell(missing.shown(cell.output_tokens_per_s, lambda value: number(value, rate), why)),
        cost_cell(cell.usd_per_1k_output_tokens, cost, why, missing),
        cost_cell(cell.usd_per_1k_slo_output_tokens, cost, why, missing),
        number_cell(number(cell.requests, 0)),
        number_cell(number(cell.failed, 0)),
        text_cell(marked("✓", "yes", "fit") if cell.reconciled else marked("⚠︎", "no", "unfit")),
        *(text_cell(verdict_mark(verdict)) for verdict in verdicts),
        text_cell(escape(why), "reason"),
    ]
    return f"<tr{'' if fit else ' class=unfit'}>{''.join(parts)}</tr>"


def _load_cell(data: ReportData, row: Cell | Group) -> str:
    """The load's label; at capacity also the load that this arm ran at."""
    load = data.load(row.load)
    at = ""
    if load.value is None and row.at is not None:
        at = f"<small>at {escape(loads(row.at, load.kind))}</small>"
    return text_cell(escape(load.label) + at, "load")


def groups_table(data: ReportData, missing: MissingValues) -> str:
    """HTML of latency percentiles and acceptance per group, the numbers behind the figures."""
    rows = (_group_row(data, group, missing) for group in data.groups)
    head = head_row(("Arm", "Workload", "Load", *_GROUP_NUMBERS), _GROUP_NUMBERS)
    return scroll_table("Latency and acceptance, pooled over repeats", head, rows, "tall")


def _group_row(data: ReportData, group: Group, missing: MissingValues) -> str:
    why = group.reasons.get
    times = (missing.shown(getattr(group, name), duration, why(name)) for name in _GROUP_TIMES)
    parts = [
        row_head(group.arm),
        text_cell(escape(group.workload)),
        _load_cell(data, group),
        number_cell(number(group.requests, 0)),
        number_cell(number(group.failed, 0)),
        *(number_cell(time) for time in times),
        number_cell(missing.shown(group.acceptance_length, _two_decimals, why("acceptance_length"))),
        number_cell(missing.shown(group.acceptance_rate, share, why("acceptance_rate"))),
        number_cell(missing.shown(group.tokens_per_step, _two_decimals, why("tokens_per_step"))),
    ]
    return f"<tr>{''.join(parts)}</tr>"


def _two_decimals(value: float) -> str:
    return number(value, 2)


def differences_table(data: ReportData) -> str:
    """HTML of the settings in which an arm's server differs from the baseline's, as resolved."""
    if not data.resolved_differences:
        return "<p>Every arm resolved to the same settings as the baseline.</p>"
    rows = (
        f"<tr>{row_head(d.arm)}{text_cell(f'<code>{escape(d.field)}</code>')}"
        f"{text_cell(escape(d.baseline_value), 'reason')}{text_cell(escape(d.value), 'reason')}</tr>"
        for d in data.resolved_differences
    )
    head = head_row(("Arm", "Setting", f"Baseline ({data.baseline})", "This arm"))
    return scroll_table("Settings that differ from the baseline, as the servers resolved them", head, rows)


def provenance_list(data: ReportData) -> str:
    """HTML of what the run was made with."""
    if not data.provenance:
        return "<p>No provenance was recorded.</p>"
    items = (f"<dt>{escape(label)}</dt><dd>{escape(value)}</dd>" for label, value in data.provenance)
    return f'<dl class="facts">{"".join(items)}</dl>'


def commands_list(data: ReportData) -> str:
    """HTML of the command line that started each arm's server."""
    if not data.commands:
        return "<p>No command line was recorded.</p>"
    items = (
        f'<dt>{escape(arm)}</dt><dd><pre tabindex="0" aria-label="Command of {escape(arm)}"><code>'
        f"{escape(command)}</code></pre></dd>"
        for arm, command in data.commands
    )
    return f'<dl class="commands">{"".join(items)}</dl>'
