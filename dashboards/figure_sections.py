"""Which figures the page has, what each panel is called, and the sentence that says what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from dashboards.arm_style import legend
from dashboards.figure_panels import FigureSection, by_kind, figure_body, plot_box, workload_panels
from dashboards.figures import acceptance_figure, latency_figure
from dashboards.load_figures import attainment_figure, cost_figure
from dashboards.markup import section
from dashboards.report_data import Load, ReportData

COST_CAPTION = (
    "What 1,000 output tokens cost at each load: lower is cheaper, every dot is one repeat, the line joins "
    "the values pooled over repeats, and a hollow dot comes from a cell that is not valid."
)
RATE_CAPTION = (
    " At an offered rate every arm that keeps up costs the same by construction: it delivers the same tokens in "
    "the same hours, so compare latency there."
)
OWN_COST_CAPTION = (
    "What 1,000 output tokens within the SLO cost, each arm at its own capacity: lower is cheaper, further right "
    "carries more load, every dot is one confirmation block, and a hollow dot comes from a cell that is not valid."
)
ATTAINMENT_CAPTION = (
    "How many requests met every limit of the SLO as the load grows: higher is better, failed requests "
    "count as misses, and the dotted line is the share that the SLO asks for."
)
LATENCY_CAPTION = (
    "How long answered requests waited at {where}: a curve further left is faster, its height is "
    "the share of requests that were done by then, marks sit at 25, 50 and 75%, and a dotted line is the "
    "SLO's limit."
)
ACCEPTANCE_CAPTION = (
    "How far drafts stay right: the height is the share of drafts whose tokens were all accepted up to that "
    "position, so a line that falls fast says that longer drafts are wasted work; one line per load."
)
NO_SPECULATION = "No arm speculates: no group reports an accepted draft token, so there is nothing to draw."
SEE_CAPACITY = (
    "<p>Every arm ran at its own capacity, so no load is common to all. How many requests met the SLO as the load "
    'grew is drawn from the probes, under <a href="#capacity">Capacity</a>.</p>'
)

_LATENCIES = (
    ("ttft_s", "Time to first token (TTFT)"),
    ("tpot_s", "Time per output token (TPOT)"),
    ("e2e_s", "Whole answer, end to end (E2E)"),
    ("chunk_gap_s", "Gap between stream events"),
)


def figure_sections(data: ReportData) -> list[FigureSection]:
    """All figure sections in page order, but for that of the capacity searches."""
    return [_cost(data), _attainment(data), _latency(data), _acceptance(data)]


def _cost(data: ReportData) -> FigureSection:
    if data.at_own_loads:
        title, unit, caption = "Cost at capacity", "$ per 1k SLO output tokens", OWN_COST_CAPTION
    else:
        title, unit, caption = "Cost against load", "$ per 1k output tokens", COST_CAPTION
        if any(load.kind == "rate" and load.value is not None for load in data.loads):
            caption += RATE_CAPTION
    part = workload_panels(data, "cost", (title, unit), by_kind(data, cost_figure), caption)
    return FigureSection(section("cost", title, part.html), part.figures)


def _attainment(data: ReportData) -> FigureSection:
    title = "SLO against load"
    if data.at_own_loads and data.searches:
        return FigureSection(section("attainment", title, SEE_CAPACITY))
    titles = (title, "requests that met the SLO")
    part = workload_panels(data, "attainment", titles, by_kind(data, attainment_figure), ATTAINMENT_CAPTION)
    return FigureSection(section("attainment", title, part.html), part.figures)


def _latency(data: ReportData) -> FigureSection:
    figures: dict[str, list[go.Figure]] = {}
    blocks = []
    limits = {"ttft_s": data.slo.ttft_s, "tpot_s": data.slo.tpot_s}
    for index, workload in enumerate(data.workloads):
        panels = []
        for field, label in _LATENCIES:
            plot = f"latency-{index}-{field.removesuffix('_s').replace('_', '-')}"
            figures[plot] = [
                latency_figure(data, workload, load.label, field, limits.get(field)) for load in data.loads
            ]
            panels.append(
                f'<div class="panel"><p class="panel-title">{label}</p>{plot_box(plot, f"{label}, {workload}")}</div>'
            )
        blocks.append(f'<h3>{escape(workload)}</h3><div class="panels narrow">{"".join(panels)}</div>')
    where = "the chosen load"
    if any(load.value is None for load in data.loads):
        where = "each arm's own capacity" if data.at_own_loads else f"{where} (capacity: each arm at its own)"
    body = figure_body(
        legend(data, data.arms),
        _load_choice(data.loads) + "".join(blocks),
        LATENCY_CAPTION.format(where=where),
    )
    return FigureSection(section("latency", "How long requests waited", body), figures)


def _load_choice(loads: Sequence[Load]) -> str:
    last = len(loads) - 1
    if not last:
        return f'<p class="soft">Load shown: {escape(loads[0].label)}</p>'
    options = "".join(
        f'<option value="{index}"{" selected" if index == last else ""}>{escape(load.label)}</option>'
        for index, load in enumerate(loads)
    )
    return f'<p class="choice"><label for="load">Load shown</label> <select id="load">{options}</select></p>'


def _acceptance(data: ReportData) -> FigureSection:
    title = "How many draft tokens were accepted"
    speculating = [
        arm for arm in data.arms if any(g.arm == arm and g.acceptance_by_position for g in data.groups)
    ]
    if not speculating:
        return FigureSection(section("acceptance", title, f"<p>{NO_SPECULATION}</p>"))
    part = workload_panels(
        data,
        "acceptance",
        (title, "drafts accepted so far"),
        lambda workload: [acceptance_figure(data, workload)],
        ACCEPTANCE_CAPTION,
        speculating,
    )
    return FigureSection(section("acceptance", title, part.html), part.figures)
