"""The table of probes: every measured step of the capacity searches, in the order measured."""

from __future__ import annotations

from html import escape

from dashboards.cost_cell import cost_cell
from dashboards.markup import head_row, marked, number_cell, row_head, scroll_table, text_cell
from dashboards.missing_values import MissingValues
from dashboards.number_format import decimals_for, loads, number, share
from dashboards.report_data import Probe, ReportData, Search
from dashboards.verdict_mark import verdict_mark

_NUMBERS = ("Step", "Requests", "SLO met", "Tokens/s", "$ per 1k SLO tokens")
_COLUMNS = (
    "Arm", "Workload", "Step", "Load", "Requests", "SLO met", "Decision", "Tokens/s",
    "$ per 1k SLO tokens", "Throughput", "Tails", "Reason",
)  # fmt: skip
_DECISIONS = {"meets": ("✓", "fit"), "misses": ("✗", "miss"), "unjudged": ("⚠︎", "unfit")}
CAPTION = (
    "Every probe, with the 95% interval of what was met: the price of an arm comes from the confirmation blocks at the "
    "chosen load, not from these"
)


def probes_table(data: ReportData, missing: MissingValues) -> str:
    """HTML of one row per probe, search by search; the load that was chosen says so."""
    probes = [probe for search in data.searches for probe in search.probes]
    rate = decimals_for(probe.output_tokens_per_s for probe in probes)
    cost = decimals_for(probe.usd_per_1k_slo_output_tokens for probe in probes)
    rows = (
        _row(search, step, probe, (rate, cost), missing)
        for search in data.searches
        for step, probe in enumerate(search.probes, start=1)
    )
    return scroll_table(CAPTION, head_row(_COLUMNS, _NUMBERS), rows, "tall")


def _row(search: Search, step: int, probe: Probe, decimals: tuple[int, int], missing: MissingValues) -> str:
    rate, cost = decimals
    why = probe.reason
    chosen = "<small>chosen</small>" if probe.at == search.chosen and probe.decision == "meets" else ""
    icon, css = _DECISIONS.get(probe.decision, _DECISIONS["unjudged"])
    parts = [
        row_head(search.arm),
        text_cell(escape(search.workload)),
        number_cell(str(step)),
        text_cell(escape(loads(probe.at, search.kind)) + chosen, "load"),
        number_cell(number(probe.requests, 0)),
        number_cell(missing.shown(probe.attainment, share, why) + _interval(probe)),
        text_cell(marked(icon, probe.decision, css)),
        number_cell(missing.shown(probe.output_tokens_per_s, lambda value: number(value, rate), why)),
        cost_cell(probe.usd_per_1k_slo_output_tokens, cost, why, missing),
        text_cell(verdict_mark(probe.verdict_throughput)),
        text_cell(verdict_mark(probe.verdict_tails)),
        text_cell(escape(why), "reason"),
    ]
    return f"<tr{' class=unfit' if css == 'unfit' else ''}>{''.join(parts)}</tr>"


def _interval(probe: Probe) -> str:
    if probe.attainment_interval is None:
        return ""
    low, high = probe.attainment_interval
    return f"<small>{escape(share(low))} to {escape(share(high))}</small>"
