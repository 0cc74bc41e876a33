"""Repeats of one arm, workload and load taken together: percentiles need more answers than one window has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accounting import acceptance
from accounting.counters import CounterChange
from accounting.missing import not_measured
from accounting.slo import Slo, pooled_attainment
from workbench.cell_data import CellData
from workbench.latency_summaries import latency_summaries, plain


def pool(cells: Sequence[CellData], slo: Slo) -> list[dict[str, Any]]:
    """Latency, acceptance and attainment pooled over the repeats of (arm, workload, load).

    Give only cells that may be pooled (`accounting.verdicts.POOLABLE`).
    """
    groups: dict[tuple[str, str, str], list[CellData]] = {}
    for cell in cells:
        groups.setdefault(cell.key[:3], []).append(cell)
    return [_pooled(key, members, slo) for key, members in groups.items()]


def _pooled(key: tuple[str, str, str], members: list[CellData], slo: Slo) -> dict[str, Any]:
    windows = [member.in_window for member in members]
    attained = pooled_attainment(windows, slo)
    changes = [m.window for m in members if m.window is not None and not m.window.reset]
    unknown = members[0].metrics_error or "counters were reset in every repeat"
    whole = CounterChange(
        duration_s=sum(c.duration_s for c in changes),
        uncertainty_s=0.0,
        increases={
            name: sum(c.increases.get(name, 0.0) for c in changes) for c in changes for name in c.increases
        },
    )
    return {
        "arm": key[0],
        "workload": key[1],
        "load": key[2],
        "repeats": len(members),
        "requests": sum(len(window) for window in windows),
        "failed": sum(int((~window.ok).sum()) for window in windows),
        **latency_summaries(members),
        "slo_attainment": plain(attained.requests),
        "slo_token_share": plain(attained.tokens),
        **{
            of.__name__: plain(of(whole) if changes else not_measured(unknown))
            for of in (acceptance.acceptance_length, acceptance.acceptance_rate, acceptance.tokens_per_step)
        },
        "acceptance_by_position": acceptance.acceptance_by_position(whole),
    }
