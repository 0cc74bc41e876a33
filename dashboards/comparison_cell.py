"""How a comparison with the baseline stands in a table: ratio and word, or latencies where cost cannot differ."""

from __future__ import annotations

from html import escape

from dashboards.markup import marked
from dashboards.missing_values import MissingValues
from dashboards.number_format import ratio
from dashboards.report_data import Comparison, LatencyRatio, ReportData

EQUAL = "equal by construction"
RAW_COST = "$ per 1k output tokens"
WORD_ICONS = {
    "cheaper": "▼", "faster": "▼", "dearer": "▲", "slower": "▲", "cannot tell": "≈", "too few blocks": "○",
    EQUAL: "=",
}  # fmt: skip


def compared_metric(data: ReportData) -> str:
    """What the page's ratios compare, in words; empty where cost is equal everywhere and latency is compared."""
    metrics = list(dict.fromkeys(c.metric for c in data.comparisons if c.word != EQUAL))
    if not metrics:
        return "" if data.comparisons else RAW_COST
    return metrics[0] if len(metrics) == 1 else "cost"


def comparison_cell(comparison: Comparison, missing: MissingValues) -> str:
    """HTML of a whole table cell: the verdict and what it rests on."""
    details = "".join(f"<small>{detail}</small>" for detail in _details(comparison, missing))
    title = f' title="{escape(comparison.reason)}"' if comparison.reason else ""
    return f'<td class="against"{title}>{comparison_verdict(comparison, missing)}{details}</td>'


def comparison_verdict(comparison: Comparison, missing: MissingValues) -> str:
    """HTML of ratio and word; of a cost equal by construction the word alone and the latencies below it."""
    if comparison.word == EQUAL:
        latencies = "".join(
            f"<small>{_latency(row, comparison, missing)}</small>" for row in comparison.latencies
        )
        return f"{_word(EQUAL, said=f'cost {EQUAL}')}{latencies}"
    shown = missing.shown(comparison.cost_ratio, ratio, comparison.reason)
    return f"<strong>{shown}</strong> {_word(comparison.word)}"


def _word(word: str, said: str = "") -> str:
    return marked(WORD_ICONS.get(word, "?"), said or word, escape(word.replace(" ", "-")))


def _latency(row: LatencyRatio, comparison: Comparison, missing: MissingValues) -> str:
    shown = missing.shown(row.ratio, ratio, comparison.reason)
    interval = ""
    if row.interval is not None:
        low, high = row.interval
        interval = f" ({low:.2f} to {high:.2f})"
    return f"{escape(row.title)} <strong>{shown}</strong>{interval} {_word(row.word)}"


def _details(comparison: Comparison, missing: MissingValues) -> list[str]:
    if comparison.word == EQUAL:
        return []
    speed = f"speed {missing.shown(comparison.speedup, ratio, comparison.reason)}"
    if comparison.interval is not None:
        low, high = comparison.interval
        speed = f"95% interval {low:.2f} to {high:.2f}, {speed}"
    pairs = ", ".join(f"{pair:.2f}" for pair in comparison.pair_ratios)
    metric = [] if comparison.metric == RAW_COST else [f"of {escape(comparison.metric)}"]
    return [*metric, *([f"pairs {pairs}"] if pairs else []), speed]
