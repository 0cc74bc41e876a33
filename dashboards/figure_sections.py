"""Which figures the page has, what each panel is called, and the sentence that says what it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go

from dashboards.arm_style import legend
from dashboards.figures import acceptance_figure, attainment_figure, cost_figure, latency_figure
from dashboards.markup import section
from dashboards.number_format import loads
from dashboards.report_data import ReportData

COST_CAPTION = (
    "What 1,000 output tokens cost at each load: lower is cheaper, every dot is one repeat, the line joins "
    "the values pooled over repeats, and a hollow dot comes from a cell that is not valid."
)
ATTAINMENT_CAPTION = (
    "How many requests met every limit of the SLO as the load grows: higher is better, failed requests "
    "count as misses, and the dotted line is the share that the SLO asks for."
)
LATENCY_CAPTION = (
    "How long answered requests waited at the chosen load: a curve further left is faster, its height is "
    "the share of requests that were done by then, marks sit at 25, 50 and 75%, and a dotted line is the "
    "SLO's limit."
)
ACCEPTANCE_CAPTION = (
    "How far drafts stay right: the height is the share of drafts whose tokens were all accepted up to that "
    "position, so a line that falls fast says that longer drafts are wasted work; one line per load."
)
NO_SPECULATION = "No arm speculates: no group reports an accepted draft token, so there is nothing to draw."

_LATENCIES = (
    ("ttft_s", "Time to first token (TTFT)"),
    ("tpot_s", "Time per output token (TPOT)"),
    ("e2e_s", "Whole answer, end to end (E2E)"),
    ("chunk_gap_s", "Gap between stream events"),
)


@dataclass(frozen=True, slots=True)
class FigureSection:
    """HTML of a section, and its figures by the id of the element they are drawn in.

    A panel has one figure, or one per load in the order of `ReportData.streams`.
    """

    html: str
    figures: dict[str, list[go.Figure]]


def figure_sections(data: ReportData) -> list[FigureSection]:
    """All figure sections in page order."""
    return [
        _per_workload(
            data, "cost", "Cost against load", "$ per 1k output tokens", cost_figure, COST_CAPTION
        ),
        _per_workload(
            data, "attainment", "SLO against load", "requests that met the SLO", attainment_figure,
            ATTAINMENT_CAPTION,
        ),
        _latency(data),
        _acceptance(data),
    ]  # fmt: skip


def _per_workload(
    data: ReportData,
    anchor: str,
    title: str,
    unit: str,
    draw: Callable[[ReportData, str], go.Figure],
    caption: str,
    arms: Sequence[str] = (),
) -> FigureSection:
    figures = {f"{anchor}-{i}": [draw(data, workload)] for i, workload in enumerate(data.workloads)}
    panels = "".join(
        f'<div class="panel"><h3>{escape(workload)} <span class="soft">{escape(unit)}{_scale(figures[plot][0])}</span></h3>'
        f"{_plot(plot, f'{title}, {workload}')}</div>"
        for plot, workload in zip(figures, data.workloads, strict=True)
    )
    body = _figure_body(legend(data, arms or data.arms), f'<div class="panels wide">{panels}</div>', caption)
    return FigureSection(section(anchor, title, body), figures)


def _scale(figure: go.Figure) -> str:
    return ", log scale" if figure.layout.yaxis.type == "log" else ""


def _latency(data: ReportData) -> FigureSection:
    figures: dict[str, list[go.Figure]] = {}
    blocks = []
    limits = {"ttft_s": data.slo.ttft_s, "tpot_s": data.slo.tpot_s}
    for index, workload in enumerate(data.workloads):
        panels = []
        for field, label in _LATENCIES:
            plot = f"latency-{index}-{field.removesuffix('_s').replace('_', '-')}"
            figures[plot] = [
                latency_figure(data, workload, streams, field, limits.get(field)) for streams in data.streams
            ]
            panels.append(
                f'<div class="panel"><p class="panel-title">{label}</p>{_plot(plot, f"{label}, {workload}")}</div>'
            )
        blocks.append(f'<h3>{escape(workload)}</h3><div class="panels narrow">{"".join(panels)}</div>')
    body = _figure_body(
        legend(data, data.arms), _load_choice(data.streams) + "".join(blocks), LATENCY_CAPTION
    )
    return FigureSection(section("latency", "How long requests waited", body), figures)


def _load_choice(streams: Sequence[int]) -> str:
    last = len(streams) - 1
    options = "".join(
        f'<option value="{index}"{" selected" if index == last else ""}>{loads(count)}</option>'
        for index, count in enumerate(streams)
    )
    return f'<p class="choice"><label for="load">Load shown</label> <select id="load">{options}</select></p>'


def _acceptance(data: ReportData) -> FigureSection:
    title = "How many draft tokens were accepted"
    speculating = [
        arm for arm in data.arms if any(g.arm == arm and g.acceptance_by_position for g in data.groups)
    ]
    if not speculating:
        return FigureSection(section("acceptance", title, f"<p>{NO_SPECULATION}</p>"), {})
    return _per_workload(
        data,
        "acceptance",
        title,
        "drafts accepted so far",
        acceptance_figure,
        ACCEPTANCE_CAPTION,
        speculating,
    )


def _plot(plot: str, label: str) -> str:
    return f'<div class="plot" id="{plot}" role="img" aria-label="{escape(label)}"></div>'


def _figure_body(legend_html: str, panels: str, caption: str) -> str:
    return f"<figure>{legend_html}{panels}<figcaption>{escape(caption)}</figcaption></figure>"
