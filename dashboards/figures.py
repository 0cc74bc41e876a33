"""The plotly figures. Pure: data in, figure out.

One figure is one small panel; `figure_sections` decides which panels the page has.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from html import escape
from itertools import repeat

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from accounting.verdicts import Verdict
from dashboards.arm_style import ArmStyle
from dashboards.axes import Axis, money_axis, share_axis, side_step, streams_axis, time_axis
from dashboards.canvas import Trace, arm_trace, drawn, styled
from dashboards.distribution import Curve, empirical_curve, finite
from dashboards.number_format import loads, money, share, usable
from dashboards.report_data import Cell, Group, ReportData, Samples

MAX_MS = 1000.0  # longest wait that is shown in milliseconds


def cost_figure(data: ReportData, workload: str) -> go.Figure:
    """Dollars per 1000 output tokens against load: a dot per repeat, a line through the pooled values."""
    traces: list[Trace] = []
    values: list[float] = []
    for index, (arm, style) in enumerate(styled(data)):
        aside = side_step(data.streams, index, len(data.arms))
        groups = [data.group(arm, workload, streams) for streams in sorted(data.streams)]
        pooled = [_finite(g.usd_per_1k_output_tokens) if g else None for g in groups]
        cells = [c for c in data.cells if (c.arm, c.workload) == (arm, workload)]
        priced = [c for c in cells if usable(c.usd_per_1k_output_tokens)]
        values += [v for v in (*pooled, *(c.usd_per_1k_output_tokens for c in priced)) if v is not None]
        line = arm_trace(arm, style, [s * aside for s in sorted(data.streams)], pooled)
        traces += [{**line, "mode": "lines", "hoverinfo": "skip"}, _repeats(arm, style, priced, aside)]
    return drawn(traces, streams_axis(data.streams), money_axis(values))


def _repeats(arm: str, style: ArmStyle, cells: Sequence[Cell], aside: float) -> Trace:
    costs = [cell.usd_per_1k_output_tokens for cell in cells]
    trace = arm_trace(arm, style, [cell.streams * aside for cell in cells], costs)
    fit = [cell.reconciled and cell.verdict_throughput == Verdict.VALID for cell in cells]
    symbols = [style.shape if good else f"{style.shape}-open" for good in fit]
    texts = [
        f"{escape(arm)}, {loads(cell.streams)}, repeat {cell.repeat}<br>"
        f"{money(cell.usd_per_1k_output_tokens or 0)} per 1k" + ("" if good else "<br>not valid")
        for cell, good in zip(cells, fit, strict=True)
    ]
    sizes = [7 if good else 12 for good in fit]  # a hollow mark must show around the others
    marker = {"symbol": symbols, "size": sizes, "line": {"width": 1.5}}
    return {**trace, "mode": "markers", "marker": marker, "hovertext": texts, "hoverinfo": "text"}


def attainment_figure(data: ReportData, workload: str) -> go.Figure:
    """Share of requests that met the SLO against load, with the floor that the SLO asks for."""
    traces = []
    for index, (arm, style) in enumerate(styled(data)):
        aside = side_step(data.streams, index, len(data.arms))
        found = [data.group(arm, workload, streams) for streams in sorted(data.streams)]
        groups = [g for g in found if g is not None and usable(g.slo_attainment)]
        trace = arm_trace(arm, style, [g.streams * aside for g in groups], [g.slo_attainment for g in groups])
        texts = [
            f"{escape(arm)}, {loads(g.streams)}<br>{share(g.slo_attainment or 0)} met the SLO" for g in groups
        ]
        traces.append({**trace, "hovertext": texts, "hoverinfo": "text"})
    figure = drawn(traces, streams_axis(data.streams), share_axis())
    if data.slo.attainment_floor is not None:
        figure.add_hline(y=data.slo.attainment_floor, line={"dash": "dot", "width": 1.5})
    return figure


def acceptance_figure(data: ReportData, workload: str) -> go.Figure:
    """Share of drafts still accepted at each draft position: one line per speculating arm and load."""
    traces = []
    deepest = 1
    for arm, style in styled(data):
        for group in (g for g in data.groups if (g.arm, g.workload) == (arm, workload)):
            shares = list(group.acceptance_by_position)
            if not shares:
                continue
            deepest = max(deepest, len(shares))
            trace = arm_trace(arm, style, list(range(1, len(shares) + 1)), shares)
            texts = [_acceptance_text(group, position) for position in range(len(shares))]
            traces.append({**trace, "hovertext": texts, "hoverinfo": "text", "opacity": 0.85})
    positions: Axis = {
        "range": [0.6, deepest + 0.4],
        "dtick": 1 if deepest <= 10 else None,
        "tickformat": "d",
        "title": {"text": "draft position", "standoff": 8},
    }
    return drawn(traces, positions, share_axis())


def _acceptance_text(group: Group, position: int) -> str:
    reached = share(group.acceptance_by_position[position])
    return f"{escape(group.arm)}, {loads(group.streams)}<br>{reached} of drafts reach position {position + 1}"


def latency_figure(
    data: ReportData, workload: str, streams: int, field: str, limit_s: float | None
) -> go.Figure:
    """Distribution of one latency, `field` of `Samples`, over the answered requests of every arm."""
    samples: dict[str, NDArray[np.float64]] = {}
    for arm in data.arms:
        group = data.group(arm, workload, streams)
        samples[arm] = np.asarray(getattr(group.samples if group else Samples(), field), dtype=float)
    everything_s = np.concatenate(list(samples.values()))
    longest_s = float(finite(everything_s).max(initial=0.0))
    scale, unit = (1000.0, "ms") if longest_s * 1000 <= MAX_MS else (1.0, "s")
    with ThreadPoolExecutor() as pool:  # numpy looks through millions of samples outside Python's lock
        time = pool.submit(time_axis, unit, everything_s, scale)
        curves = dict(zip(samples, pool.map(empirical_curve, samples.values(), repeat(scale)), strict=True))
    traces = [
        _distribution(arm, style, curves[arm], unit) for arm, style in styled(data) if len(samples[arm])
    ]
    axis = time.result()
    figure = drawn(traces, axis, share_axis())
    if limit_s is not None and _inside(limit_s * scale, axis):
        figure.add_vline(x=limit_s * scale, line={"dash": "dot", "width": 1.5})
    return figure


def _distribution(arm: str, style: ArmStyle, curve: Curve, unit: str) -> Trace:
    sizes = [9 if index in curve.marked else 0 for index in range(len(curve.x))]
    trace = arm_trace(arm, style, curve.x, curve.y)
    trace["line"] |= {"shape": "hv"}
    trace["marker"] = {"symbol": style.shape, "size": sizes, "opacity": 1}
    hover = f"%{{fullData.name}}<br>%{{y:.1%}} within %{{x:.4~g}} {unit}<extra></extra>"
    return {**trace, "hovertemplate": hover}


def _inside(value: float, axis: Axis) -> bool:
    low, high = axis["range"]
    if axis.get("type") == "log":
        return bool(10**low <= value <= 10**high)
    return bool(low <= value <= high)


def _finite(value: float | None) -> float | None:
    return value if usable(value) else None
