"""The page of a crossover map: where drafting pays, what is lacking where it does not, how good the predictions were."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from html import escape
from statistics import median

import plotly.graph_objects as go

from dashboards.arm_style import legend
from dashboards.figure_panels import figure_body, plot_box
from dashboards.map_data import MapData, MapPoint
from dashboards.map_figures import prediction_figure, ratio_figure
from dashboards.markup import head_row, masthead, number_cell, row_head, scroll_table, section
from dashboards.number_format import number, ratio, share
from dashboards.page import page

RATIO_CAPTION = (
    "Tokens per second divided by those without drafting at the same load. Marks are measured, lines are predicted from step costs and "
    "from what the drafter yielded; above the dotted line drafting pays."
)
PREDICTION_CAPTION = "Every window: predicted against measured tokens per second. Bars are the interval (95%) in which another window of that kind lies."
_HEADS = (
    "Arm",
    "Streams",
    "Tokens/s",
    "Measured",
    "Predicted",
    "Tokens per step",
    "Pays from",
    "All accepted",
)
_FACTOR_HEADS = ("Arm", "Streams")


def render_map(data: MapData) -> str:
    """One self-contained HTML file; equal data gives an equal file."""
    figures: dict[str, go.Figure] = {}
    content = [
        masthead(data.title, f'<p class="lead">{escape(data.lead)}</p>', data.facts),
        section(
            "ratios", "Where drafting pays", _figures(data, "ratio", ratio_figure, RATIO_CAPTION, figures)
        ),
        *(_workload(data, workload, index) for index, workload in enumerate(data.workloads)),
        section(
            "predictions",
            "Predicted against measured",
            f"<p>{escape(_errors(data))}</p>"
            + _figures(data, "prediction", prediction_figure, PREDICTION_CAPTION, figures),
        ),
    ]
    plain = {name: [json.loads(figure.to_json())] for name, figure in figures.items()}
    return page(data.title, "\n".join(content), plain)


def _figures(
    data: MapData,
    anchor: str,
    draw: Callable[[MapData, str], go.Figure],
    caption: str,
    figures: dict[str, go.Figure],
) -> str:
    panels = []
    for index, workload in enumerate(data.workloads):
        plot = f"{anchor}-{index}"
        figures[plot] = draw(data, workload)
        panels.append(
            f'<div class="panel"><h3>{escape(workload)}</h3>{plot_box(plot, f"{anchor}, {workload}")}</div>'
        )
    grid = f'<div class="panels wide">{"".join(panels)}</div>'
    drafting = [arm for arm in data.arms if arm != data.baseline]
    return figure_body(legend(data, drafting), grid, caption)


def _workload(data: MapData, workload: str, index: int) -> str:
    points = [point for arm in data.arms for point in data.of(workload, arm)]
    body = scroll_table(
        f"{workload}: every drafter and k at every load", head_row(_HEADS, _HEADS[1:]), map(_row, points)
    )
    causes = list(dict.fromkeys(cause for point in points for cause, _ in point.factors))
    heads = (*_FACTOR_HEADS, *(cause.capitalize() for cause in causes))
    body += scroll_table(
        "Where it went: factors whose product is the measured ratio",
        head_row(heads, heads[1:]),
        (_factors(point, causes) for point in points),
    )
    return section(f"workload-{index}", workload, body)


def _row(point: MapPoint) -> str:
    cells = (
        str(point.streams),
        number(point.measured),
        "–" if point.measured_ratio is None else ratio(point.measured_ratio),
        ratio(point.predicted_ratio),
        f"{point.tokens_per_step:.2f}",
        "never" if point.break_even is None else f"{point.break_even:.2f}",
        ratio(point.ratio_at_best),
    )
    return f"<tr>{row_head(point.arm)}{''.join(map(number_cell, cells))}</tr>"


def _factors(point: MapPoint, causes: list[str]) -> str:
    known = dict(point.factors)
    cells = (str(point.streams), *(f"{known[cause]:.2f}" if cause in known else "–" for cause in causes))
    return f"<tr>{row_head(point.arm)}{''.join(map(number_cell, cells))}</tr>"


def _errors(data: MapData) -> str:
    errors = sorted(_relative_errors(data))
    if not errors:
        return "Nothing was measured."
    return f"{len(errors)} windows: median error {share(median(errors))}, largest {share(errors[-1])}."


def _relative_errors(data: MapData) -> Iterator[float]:
    for point in data.points:
        yield abs(point.predicted / point.measured - 1.0)
