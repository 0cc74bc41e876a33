"""Figures against load: what tokens cost, and how many requests met the SLO, at each load that an arm ran at.

Pure: data in, figure out. At capacity each arm stands at its own load.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from accounting.verdicts import Verdict
from dashboards.arm_style import ArmStyle
from dashboards.axes import load_axis, money_axis, share_axis, side_step
from dashboards.canvas import Trace, arm_trace, drawn, styled
from dashboards.number_format import loads, money, share, usable
from dashboards.report_data import Cell, Group, LoadKind, ReportData


def cost_figure(data: ReportData, workload: str, kind: LoadKind) -> go.Figure:
    """Dollars per 1000 tokens against load: a dot per repeat, a line through the pooled values.

    Where every arm ran at its own capacity it is the price of tokens within the SLO, which is what is compared there.
    """
    name = "usd_per_1k_slo_output_tokens" if data.at_own_loads else "usd_per_1k_output_tokens"
    lines = {arm: _points(data, arm, workload, kind) for arm in data.arms}
    loads_run = [at for points in lines.values() for at, _ in points]
    traces: list[Trace] = []
    values: list[float] = []
    for index, (arm, style) in enumerate(styled(data)):
        aside = side_step(loads_run, index, len(data.arms))
        pooled = [_finite(getattr(group, name)) if group else None for _, group in lines[arm]]
        cells = [(at, c) for at, c in _cells(data, arm, workload, kind) if usable(getattr(c, name))]
        values += [v for v in (*pooled, *(getattr(c, name) for _, c in cells)) if v is not None]
        line = arm_trace(arm, style, [at * aside for at, _ in lines[arm]], pooled)
        traces += [
            {**line, "mode": "lines", "hoverinfo": "skip"},
            _repeats(arm, style, [(at * aside, c) for at, c in cells], name, kind),
        ]
    return drawn(traces, load_axis(loads_run, kind), money_axis(values))


def _points(data: ReportData, arm: str, workload: str, kind: LoadKind) -> list[tuple[float, Group | None]]:
    """An arm's groups at the loads of one kind, by rising load; None where a load was not measured."""
    points = []
    for load in data.loads:
        group = data.group(arm, workload, load.label)
        at = load.value if load.value is not None else (group.at if group else None)
        if load.kind == kind and at is not None:
            points.append((at, group))
    return sorted(points, key=lambda point: point[0])


def _cells(data: ReportData, arm: str, workload: str, kind: LoadKind) -> list[tuple[float, Cell]]:
    """An arm's cells at loads of one kind and where on the axis each stands."""
    return [
        (cell.at, cell)
        for cell in data.cells
        if (cell.arm, cell.workload, data.load(cell.load).kind) == (arm, workload, kind)
        and cell.at is not None
    ]


def _repeats(
    arm: str, style: ArmStyle, cells: Sequence[tuple[float, Cell]], name: str, kind: LoadKind
) -> Trace:
    costs = [getattr(cell, name) for _, cell in cells]
    trace = arm_trace(arm, style, [x for x, _ in cells], costs)
    fit = [cell.reconciled and cell.verdict_throughput == Verdict.VALID for _, cell in cells]
    symbols = [style.shape if good else f"{style.shape}-open" for good in fit]
    texts = [
        f"{escape(arm)}, {loads(cell.at or 0, kind)}, repeat {cell.repeat}<br>"
        f"{money(cost)} per 1k" + ("" if good else "<br>not valid")
        for (_, cell), cost, good in zip(cells, costs, fit, strict=True)
    ]
    sizes = [7 if good else 12 for good in fit]  # a hollow mark must show around the others
    marker = {"symbol": symbols, "size": sizes, "line": {"width": 1.5}}
    return {**trace, "mode": "markers", "marker": marker, "hovertext": texts, "hoverinfo": "text"}


def attainment_figure(data: ReportData, workload: str, kind: LoadKind) -> go.Figure:
    """Share of requests that met the SLO against load, with the floor that the SLO asks for."""
    lines = {arm: _points(data, arm, workload, kind) for arm in data.arms}
    loads_run = [at for points in lines.values() for at, _ in points]
    traces = []
    for index, (arm, style) in enumerate(styled(data)):
        aside = side_step(loads_run, index, len(data.arms))
        known = [(at, g.slo_attainment) for at, g in lines[arm] if g and usable(g.slo_attainment)]
        trace = arm_trace(arm, style, [at * aside for at, _ in known], [met for _, met in known])
        texts = [f"{escape(arm)}, {loads(at, kind)}<br>{share(met)} met the SLO" for at, met in known]
        traces.append({**trace, "hovertext": texts, "hoverinfo": "text"})
    figure = drawn(traces, load_axis(loads_run, kind), share_axis())
    if data.slo.attainment_floor is not None:
        figure.add_hline(y=data.slo.attainment_floor, line={"dash": "dot", "width": 1.5})
    return figure


def _finite(value: float | None) -> float | None:
    return value if usable(value) else None
