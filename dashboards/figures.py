"""Figures of what happened at a load: how long requests waited, how far drafts stayed right.

Pure: data in, figure out. One figure is one small panel; `figure_sections` decides which panels the page has.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from html import escape
from itertools import repeat

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboards.arm_style import ArmStyle
from dashboards.axes import Axis, share_axis, time_axis
from dashboards.canvas import Trace, arm_trace, drawn, styled
from dashboards.distribution import Curve, empirical_curve, finite
from dashboards.number_format import loads, share
from dashboards.report_data import Group, ReportData, Samples

MAX_MS = 1000.0  # longest wait that is shown in milliseconds


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
            texts = [_acceptance_text(data, group, position) for position in range(len(shares))]
            traces.append({**trace, "hovertext": texts, "hoverinfo": "text", "opacity": 0.85})
    positions: Axis = {
        "range": [0.6, deepest + 0.4],
        "dtick": 1 if deepest <= 10 else None,
        "tickformat": "d",
        "title": {"text": "draft position", "standoff": 8},
    }
    return drawn(traces, positions, share_axis())


def _acceptance_text(data: ReportData, group: Group, position: int) -> str:
    reached = share(group.acceptance_by_position[position])
    at = group.load if group.at is None else loads(group.at, data.load(group.load).kind)
    return f"{escape(f'{group.arm}, {at}')}<br>{reached} of drafts reach position {position + 1}"


def latency_figure(
    data: ReportData, workload: str, load: str, field: str, limit_s: float | None
) -> go.Figure:
    """Distribution of one latency, `field` of `Samples`, over the answered requests of every arm."""
    samples: dict[str, NDArray[np.float64]] = {}
    for arm in data.arms:
        group = data.group(arm, workload, load)
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
