"""What a step takes, as a person reads it: its parts, and T(B, k) for each drafter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from accounting.planning.drafting_yield import OFF
from accounting.planning.step_cost import StepCost, StepWork
from workbench.planning.step_cost_file import cost_of, work_of
from workbench.titled_table import titled_table

Document = Mapping[str, Any]
_MS = 1e3


def profile_table(document: Document, directory: Path) -> RenderableType:
    """Parts first, then seconds of whole steps."""
    cost, windows = cost_of(document), document["windows"]
    holds = document["holds_for"]
    lines: list[RenderableType] = [
        Text(
            f"{holds['target']['name']}: what a step takes, measured {document['measured_at']}; {len(windows)} windows, "
            f"misfit {cost.misfit:.1%}",
            style="bold",
        ),
        _parts(cost),
        _steps(cost, windows),
        Text(f"Kept in {directory}.", style="dim"),
    ]
    lines[3:3] = [Text(line, style="yellow") for line in _left_out(document)]
    return Group(*lines)


def _parts(cost: StepCost) -> RenderableType:
    table = titled_table("Seconds by cause")
    table.add_column("part")
    table.add_column("ms each", justify="right")
    for name, seconds in cost.parts:
        if seconds:
            table.add_row(escape(name), f"{seconds * _MS:.4g}")
    return table


def _steps(cost: StepCost, windows: Sequence[Document]) -> RenderableType:
    """Of so many sequences that all decode, at the context that they had in the mean of the windows."""
    works = [work_of(window) for window in windows]
    context = fmean(work.context / work.sequences for work in works)
    streams = sorted({window["streams"] for window in windows})
    table = titled_table(
        f"T(B, k): ms of a step of B sequences, {context:.0f} tokens behind each, no prompt read"
    )
    table.add_column("drafter")
    table.add_column("drafted", justify="right")
    for count in streams:
        table.add_column(f"B = {count}", justify="right")
    for drafter, drafted, passes in _kinds(windows, works):
        cells = []
        for count in streams:
            work = StepWork(
                method=drafter,
                sequences=count,
                drafted=count * drafted,
                draft_steps=passes,
                context=count * context,
            )
            step = cost.predicted(work)
            cells.append(f"{step.seconds * _MS:.1f} ({step.low * _MS:.1f} to {step.high * _MS:.1f})")
        table.add_row(escape(drafter), "-" if drafter == OFF else f"{drafted:.1f}", *cells)
    return table


def _kinds(windows: Sequence[Document], works: Sequence[StepWork]) -> Iterator[tuple[str, float, float]]:
    """Drafter, tokens drafted for a sequence and passes of each arm, in the mean of its windows."""
    seen: set[tuple[str, float]] = set()
    for arm in dict.fromkeys(window["arm"] for window in windows):
        own = [work for window, work in zip(windows, works, strict=True) if window["arm"] == arm]
        drafted = fmean(work.drafted / work.sequences for work in own)
        kind = (own[0].method, round(drafted, 1))
        if kind not in seen:
            seen.add(kind)
            yield own[0].method, drafted, own[0].draft_steps


def _left_out(document: Document) -> list[str]:
    reasons = Counter(row["reason"] for row in document["left_out"])
    return [f"{count} windows left out: {reason}" for reason, count in reasons.most_common(5)]
