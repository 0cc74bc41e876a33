"""Which cells shared a server life, and what their server can have remembered when each of them began.

A life is one process at one address. Most blocks are lives of their own; a server that runs already lives through many
blocks, even of several arms, and has answered others before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from accounting.answer_memory import judge_answer_memory
from accounting.record_columns import RecordColumns
from workbench.cell_data import CellData, ServerLife


def with_answer_memory(cells: Sequence[CellData]) -> list[CellData]:
    """The same cells, in their order, each judged by what cells before it asked in the same life.

    A cell without a known life (an older directory, no counters) stays as it is.
    """
    return [
        cell if cell.life is None else _judged(cell, cell.life, _earlier(cell.life, cells)) for cell in cells
    ]


def _earlier(life: ServerLife, cells: Sequence[CellData]) -> list[CellData]:
    """Cells of the same life that had ended when this one began. Its counter only grows, so it orders them."""
    return [
        c
        for c in cells
        if c.life is not None and c.life.key == life.key and c.life.generated_before < life.generated_before
    ]


def _judged(cell: CellData, life: ServerLife, earlier: Sequence[CellData]) -> CellData:
    accounted = sum(c.life.generated_after - c.life.generated_before for c in earlier if c.life is not None)
    asked = {pair for c in earlier for pair in _prompts(c.records)}
    memory = judge_answer_memory(
        remembers=life.remembers,
        why_unknown=life.why_unknown,
        generated_tokens=life.generated_before,
        accounted_tokens=accounted,
        asked_before=sum(pair in asked for pair in _prompts(cell.in_window)),
    )
    return replace(cell, facts=replace(cell.facts, answer_memory=memory))


def _prompts(records: RecordColumns) -> list[tuple[str, str]]:
    """Workload and prompt of each request."""
    return list(zip(records.workload.tolist(), records.prompt_id.tolist(), strict=True))
