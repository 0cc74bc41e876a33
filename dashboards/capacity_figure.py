"""The figure of the capacity searches: the share of requests that met the SLO at every load that was probed."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from dashboards.arm_style import ArmStyle
from dashboards.axes import load_axis, share_axis, side_step
from dashboards.canvas import Trace, arm_trace, drawn, styled
from dashboards.number_format import loads, share, usable
from dashboards.report_data import LoadKind, Probe, ReportData, Search

RING_SIZE = 20  # pixels across, around a mark of 8


def capacity_figure(data: ReportData, workload: str, kind: LoadKind) -> go.Figure:
    """Attainment against load: a line per arm with its intervals, the floor, a ring around the chosen load.

    A probe that could not be judged is hollow; one without an attainment is not drawn (the table has it).
    """
    searches = [s for s in data.searches if (s.workload, s.kind) == (workload, kind)]
    by_arm = {search.arm: search for search in searches}
    probed = [probe.at for search in searches for probe in search.probes if usable(probe.attainment)]
    traces: list[Trace] = []
    for index, (arm, style) in enumerate(styled(data)):
        search = by_arm.get(arm)
        if search is None:
            continue
        aside = side_step(probed, index, len(data.arms))
        known = sorted((p for p in search.probes if usable(p.attainment)), key=lambda probe: probe.at)
        traces += [_line(search, style, known, aside), *_ring(search, style, known, aside)]
    chosen = [search.chosen for search in searches if search.chosen is not None]
    figure = drawn(traces, load_axis([*probed, *chosen], kind, first=chosen), share_axis())
    for floor in sorted({search.floor for search in searches}):
        figure.add_hline(y=floor, line={"dash": "dot", "width": 1.5})
    return figure


def _line(search: Search, style: ArmStyle, probes: Sequence[Probe], aside: float) -> Trace:
    shares = [probe.attainment or 0.0 for probe in probes]
    trace = arm_trace(search.arm, style, [probe.at * aside for probe in probes], shares)
    judged = [probe.decision != "unjudged" for probe in probes]
    symbols = [style.shape if known else f"{style.shape}-open" for known in judged]
    # A point without an interval has a bar of no length: plotly wants one entry per point.
    spans = [p.attainment_interval or (met, met) for p, met in zip(probes, shares, strict=True)]
    bars = {
        "type": "data",
        "symmetric": False,
        "array": [max(0.0, high - met) for (_, high), met in zip(spans, shares, strict=True)],
        "arrayminus": [max(0.0, met - low) for (low, _), met in zip(spans, shares, strict=True)],
        "thickness": 1.5,
        "width": 3,
    }
    texts = [_text(search, probe, met) for probe, met in zip(probes, shares, strict=True)]
    marker = {**trace["marker"], "symbol": symbols, "line": {"width": 1.5}}
    shown = {"hovertext": texts, "hoverinfo": "text", "cliponaxis": False}
    return {**trace, "marker": marker, "error_y": bars, **shown}


def _text(search: Search, probe: Probe, met: float) -> str:
    interval = ""
    if probe.attainment_interval:
        low, high = probe.attainment_interval
        interval = f" (95%: {share(low)} to {share(high)})"
    where = escape(f"{search.arm}, {loads(probe.at, search.kind)}")
    return f"{where}<br>{share(met)} met the SLO{interval}<br>{escape(probe.decision)}"


def _ring(search: Search, style: ArmStyle, probes: Sequence[Probe], aside: float) -> list[Trace]:
    """A ring at the chosen load, on the probe that met the floor there, or on the floor itself."""
    if search.chosen is None:
        return []
    there = [p.attainment for p in probes if p.at == search.chosen and p.decision == "meets"]
    trace = arm_trace(search.arm, style, [search.chosen * aside], [there[-1] if there else search.floor])
    marker = {"symbol": "circle-open", "size": RING_SIZE, "line": {"width": 2.5}}
    return [{**trace, "mode": "markers", "marker": marker, "hoverinfo": "skip", "cliponaxis": False}]
