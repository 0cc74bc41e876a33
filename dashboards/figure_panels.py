"""How figures stand on the page: a panel each, under one legend, over one sentence that says what they show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

import plotly.graph_objects as go

from dashboards.arm_style import legend
from dashboards.report_data import LoadKind, ReportData


@dataclass(frozen=True, slots=True)
class FigureSection:
    """HTML of a section, and its figures by the id of the element they are drawn in.

    A panel has one figure, or one per load in the order of `ReportData.loads`.
    """

    html: str
    figures: dict[str, list[go.Figure]] = field(default_factory=dict)


def workload_panels(
    data: ReportData,
    anchor: str,
    titles: tuple[str, str],
    draw: Callable[[str], Sequence[go.Figure]],
    caption: str,
    arms: Sequence[str] = (),
) -> FigureSection:
    """A figure element with the panels that `draw` makes for each workload; `titles` are the section's and the unit's."""
    title, unit = titles
    figures: dict[str, list[go.Figure]] = {}
    panels = []
    for index, workload in enumerate(data.workloads):
        for part, figure in enumerate(draw(workload)):
            plot = f"{anchor}-{index}" + (f"-{part}" if part else "")
            figures[plot] = [figure]
            panels.append(
                f'<div class="panel"><h3>{escape(workload)} <span class="soft">{escape(unit)}{_scale(figure)}</span>'
                f"</h3>{plot_box(plot, f'{title}, {workload}')}</div>"
            )
    grid = f'<div class="panels wide">{"".join(panels)}</div>'
    return FigureSection(figure_body(legend(data, arms or data.arms), grid, caption), figures)


def by_kind(
    data: ReportData, draw: Callable[[ReportData, str, LoadKind], go.Figure]
) -> Callable[[str], Sequence[go.Figure]]:
    """A figure against load per kind of load, since streams and offered rates share no axis."""
    return lambda workload: [draw(data, workload, kind) for kind in data.kinds]


def _scale(figure: go.Figure) -> str:
    return ", log scale" if figure.layout.yaxis.type == "log" else ""


def plot_box(plot: str, label: str) -> str:
    """The element that a figure is drawn in; `label` is plain text for those who cannot see it."""
    return f'<div class="plot" id="{plot}" role="img" aria-label="{escape(label)}"></div>'


def figure_body(legend_html: str, panels: str, caption: str) -> str:
    """Legend, panels (HTML) and the sentence below them."""
    return f"<figure>{legend_html}{panels}<figcaption>{escape(caption)}</figcaption></figure>"
