"""The report's table of contents: which sections there are and in what order."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from dashboards.capacity_section import capacity_section
from dashboards.detail_tables import (
    cells_table,
    commands_list,
    differences_table,
    groups_table,
    provenance_list,
)
from dashboards.figure_panels import FigureSection
from dashboards.figure_sections import figure_sections
from dashboards.headline_table import headline_table, ratio_table
from dashboards.losslessness_table import losslessness_table
from dashboards.markup import folded, masthead, section
from dashboards.missing_values import MissingValues
from dashboards.number_format import money
from dashboards.page import page
from dashboards.quality_table import quality_table
from dashboards.report_data import ReportData, Slo


def render_report(data: ReportData) -> str:
    """The report as one self-contained HTML file; equal data gives an equal file."""
    missing = MissingValues()
    summary = section("summary", "Against the baseline", _summary(data, missing))
    drawn = [capacity_section(data, missing), *figure_sections(data)]
    content = [
        _masthead(data),
        summary,
        *(part.html for part in drawn),
        _details(data, missing),
        missing.section(),
    ]
    return page(data.title, "\n".join(content), _plain_figures(drawn))


def _masthead(data: ReportData) -> str:
    description = f'<p class="soft">{escape(data.description)}</p>' if data.description else ""
    notice = f'<p class="notice" role="note">{escape(data.notice)}</p>' if data.notice else ""
    lead = f'<p class="lead">{escape(data.headline)}</p>'
    return masthead(data.title, f"{description}{lead}{notice}", _facts(data))


def _facts(data: ReportData) -> tuple[tuple[str, str], ...]:
    price = data.price
    return (
        ("Price", f"{money(price.usd_per_hour)} per hour ({price.source}, as of {price.as_of})"),
        ("SLO", slo_words(data.slo)),
        ("Baseline", data.baseline),
        ("Created", data.created_at),
    )


def slo_words(slo: Slo) -> str:
    """The service-level objective in words; a limit that is not set is said to be none."""
    ttft = f"TTFT ≤ {_limit(slo.ttft_s)}" if slo.ttft_s is not None else "no TTFT limit"
    tpot = f"TPOT ≤ {_limit(slo.tpot_s)}" if slo.tpot_s is not None else "no TPOT limit"
    floor = slo.attainment_floor
    met = f"for at least {floor * 100:g}% of requests" if floor is not None else "no floor on the share met"
    return f"{ttft}, {tpot}, {met}"


def _summary(data: ReportData, missing: MissingValues) -> str:
    overview = ratio_table(data, missing) if len(data.arms) > 2 else ""
    return overview + headline_table(data, missing)


def _limit(seconds: float) -> str:
    return f"{seconds * 1000:g} ms" if seconds < 1 else f"{seconds:g} s"


def _details(data: ReportData, missing: MissingValues) -> str:
    notes = "".join(f"<li>{escape(note)}</li>" for note in data.notes)
    groups = folded("Latency and acceptance as a table", groups_table(data, missing))
    quality = quality_table(data, missing)
    lossless = losslessness_table(data, missing)
    parts = [
        groups,
        section("quality", "Quality where numerics differ", quality) if quality else "",
        section("losslessness", "Did speculation change the answers?", lossless) if lossless else "",
        section("cells", "Every cell and its verdict", cells_table(data, missing)),
        section("differences", "How the arms differ", differences_table(data)),
        section("provenance", "Made with", provenance_list(data)),
        section("commands", "Commands", commands_list(data)),
        section("notes", "Notes", f"<ul>{notes}</ul>") if notes else "",
    ]
    return "\n".join(parts)


def _plain_figures(sections: list[FigureSection]) -> dict[str, Any]:
    return {
        plot: [json.loads(figure.to_json()) for figure in figures]
        for part in sections
        for plot, figures in part.figures.items()
    }
