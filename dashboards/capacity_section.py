"""The section of the capacity searches: what each arm sustains, how that was found, and every probe."""

from __future__ import annotations

from html import escape

from dashboards.capacity_figure import capacity_figure
from dashboards.figure_panels import FigureSection, workload_panels
from dashboards.markup import folded, head_row, marked, scroll_table, section, text_cell
from dashboards.missing_values import MissingValues
from dashboards.number_format import loads
from dashboards.probes_table import probes_table
from dashboards.report_data import ReportData, Search

NOT_THE_PRICE = (
    "A search probes one load after another until it has the highest that meets the SLO. The probe that decided may "
    "have been a lucky one, so no price comes from a probe: prices come from the confirmation blocks, which ran at "
    "the chosen load afterwards."
)
CAPTION = (
    "How many requests met every limit of the SLO at each probed load: bars are 95% intervals, the dotted line is the "
    "floor that the SLO asks for, a ring marks the load that was chosen, and a hollow mark is a probe that could not "
    "be judged."
)
_COLUMNS = ("Workload, arm", "Capacity", "What the search found")


def capacity_section(data: ReportData, missing: MissingValues) -> FigureSection:
    """A sentence per arm and workload, the figure, and the folded probes; empty where nothing was searched."""
    if not data.searches:
        return FigureSection("")
    searched = [arm for arm in data.arms if any(search.arm == arm for search in data.searches)]
    part = workload_panels(
        data,
        "capacity-probes",
        ("SLO at probed loads", "requests that met the SLO"),
        lambda workload: [
            capacity_figure(data, workload, kind)
            for kind in dict.fromkeys(s.kind for s in data.searches if s.workload == workload)
        ],
        CAPTION,
        searched,
    )
    body = f"<p>{escape(NOT_THE_PRICE)}</p>{_found(data)}{part.html}"
    body += folded("Every probe in the order measured", probes_table(data, missing))
    return FigureSection(section("capacity", "Capacity", body), part.figures)


def _found(data: ReportData) -> str:
    rows = (
        f'<tr><th scope="row">{escape(workload)} <span class="soft">{escape(arm)}</span></th>{_row(search)}</tr>'
        for workload in data.workloads
        for arm in data.arms
        if (search := data.search(arm, workload)) is not None
    )
    return scroll_table("The highest load that meets the SLO, per arm", head_row(_COLUMNS), rows, "found")


def _row(search: Search) -> str:
    said = [
        escape(search.sentence),
        *(
            f"<small>{title}: {escape(words)}</small>"
            for title, words in (
                ("Confirmation blocks", search.confirmed),
                ("Nearest feasible SLO", search.nearest_slo),
            )
            if words
        ),
    ]
    chosen = (
        f"<strong>{escape(loads(search.chosen, search.kind))}</strong>"
        if search.chosen is not None
        else marked("✗", "none", "bad")
    )
    return f"{text_cell(chosen, 'load')}{text_cell(''.join(said), 'said')}"
