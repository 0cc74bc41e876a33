"""What every figure shares: the bare layout and the trace that looks like its arm.

A figure carries no colours of its own: every trace says in `meta.arm` which palette entry it takes, and
the page paints it in the theme that is on. Names are HTML-escaped because plotly reads markup in labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from dashboards.arm_style import ArmStyle, HasArms, arm_styles
from dashboards.axes import Axis

HEIGHT = 270  # pixels

Trace = dict[str, Any]


def styled(data: HasArms) -> list[tuple[str, ArmStyle]]:
    """Arms with their styles in the order in which they are drawn."""
    styles = arm_styles(data)
    return [(arm, styles[arm]) for arm in data.arms]


def arm_trace(arm: str, style: ArmStyle, x: Sequence[float], y: Sequence[float | None]) -> Trace:
    """A line with markers in the arm's style; None in `y` leaves a gap."""
    return {
        "type": "scatter",
        "name": escape(arm),
        "meta": {"arm": style.colour},
        "mode": "lines+markers",
        "x": list(x),
        "y": list(y),
        "line": {"width": 2, "dash": style.dash},
        "marker": {"symbol": style.shape, "size": 8},
    }


def drawn(traces: Sequence[Trace], x: Axis, y: Axis) -> go.Figure:
    """A figure of these traces that neither zooms nor pans; it says so when there are none."""
    still = {"fixedrange": True, "zeroline": False, "automargin": True, "showline": False}
    layout = {
        "template": {"data": {}, "layout": {}},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "height": HEIGHT,
        "margin": {"l": 48, "r": 10, "t": 10, "b": 44},
        "showlegend": False,
        "hovermode": "closest",
        "dragmode": False,
        "xaxis": {**still, **x},
        "yaxis": {**still, **y},
    }
    if not any(value is not None for trace in traces for value in trace["y"]):
        layout["annotations"] = [
            {
                "text": "nothing measured",
                "xref": "paper",
                "yref": "paper",
                "x": 0.5,
                "y": 0.5,
                "showarrow": False,
            }
        ]
    return go.Figure(data=list(traces), layout=layout)
