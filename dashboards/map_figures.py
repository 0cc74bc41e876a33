"""The figures of a crossover map: ratio against load as measured and as predicted, and every prediction against its measurement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from dashboards.axes import load_axis, side_step
from dashboards.canvas import Trace, arm_trace, drawn, styled
from dashboards.map_data import MapData, MapPoint
from dashboards.number_format import loads, number, ratio


def ratio_figure(data: MapData, workload: str) -> go.Figure:
    """Tokens per second against no drafting: marks are measured, lines are predicted, above one it pays."""
    own = [point for point in data.points if point.workload == workload]
    streams = sorted({float(point.streams) for point in own})
    traces: list[Trace] = []
    for index, (arm, style) in enumerate(styled(data)):
        points = data.of(workload, arm)
        if not points:
            continue
        predicted = arm_trace(
            arm, style, [point.streams for point in points], [point.predicted_ratio for point in points]
        )
        aside = side_step(streams, index, len(data.arms))
        measured = arm_trace(
            arm,
            style,
            [point.streams * aside for point in points],
            [point.measured_ratio for point in points],
        )
        traces.append({**predicted, "mode": "lines", "hoverinfo": "skip"})
        shown = {"hovertext": [_ratio_text(point) for point in points], "hoverinfo": "text"}
        traces.append({**measured, "mode": "markers", **shown})
    most = max((_highest(point) for point in own), default=1.0)
    figure = drawn(traces, load_axis(streams, "streams"), {"range": [0, most * 1.08], "nticks": 6})
    figure.add_hline(y=1.0, line={"dash": "dot", "width": 1.5})
    return figure


def _highest(point: MapPoint) -> float:
    return max(point.measured_ratio or 0.0, point.predicted_ratio)


def _ratio_text(point: MapPoint) -> str:
    measured = "not measured" if point.measured_ratio is None else ratio(point.measured_ratio)
    return (
        f"{escape(point.arm)}, {loads(point.streams, 'streams')}<br>measured {measured}, predicted "
        f"{ratio(point.predicted_ratio)}<br>{point.tokens_per_step:.2f} tokens per step"
    )


def prediction_figure(data: MapData, workload: str) -> go.Figure:
    """Predicted against measured tokens per second, each point with the interval of its prediction; exact ones lie on the line."""
    own = [point for point in data.points if point.workload == workload]
    traces: list[Trace] = []
    for arm, style in styled(data):
        points = data.of(workload, arm)
        if points:
            line = arm_trace(
                arm, style, [point.measured for point in points], [point.predicted for point in points]
            )
            traces.append({**line, "mode": "markers", **_bars(points)})
    rates = [rate for point in own for rate in (point.measured, point.predicted)]
    axis = _rate_axis(rates)
    figure = drawn(traces, {**axis, "title": {"text": "measured tokens/s", "standoff": 8}}, axis)
    if rates:
        ends = {"x0": min(rates), "y0": min(rates), "x1": max(rates), "y1": max(rates)}
        figure.add_shape(type="line", line={"dash": "dot", "width": 1.5}, **ends)
    return figure


def _bars(points: Sequence[MapPoint]) -> Trace:
    spans = [(point.predicted, *point.interval) for point in points]
    return {
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [max(0.0, high - at) if math.isfinite(high) else 0.0 for at, _, high in spans],
            "arrayminus": [max(0.0, at - low) for at, low, _ in spans],
            "thickness": 1.5,
            "width": 3,
        },
        "hovertext": [
            f"{escape(point.arm)}, {loads(point.streams, 'streams')}<br>measured {number(point.measured)}, predicted "
            f"{number(point.predicted)} tokens/s"
            for point in points
        ],
        "hoverinfo": "text",
    }


def _rate_axis(rates: Sequence[float]) -> Trace:
    positive = [rate for rate in rates if rate > 0]
    if not positive:
        return {"range": [0, 1]}
    low, high = math.log10(min(positive)), math.log10(max(positive))
    room = max(0.06 * (high - low), 0.04)
    return {"type": "log", "range": [low - room, high + room], "nticks": 6}
