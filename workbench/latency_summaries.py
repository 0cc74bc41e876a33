"""Latency of cells' requests as measures.json states it: percentiles in seconds, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accounting.client_lag import clocks, one_clock
from accounting.load_summary import NO_RUNNING_COUNT, latency_samples, no_running_count
from accounting.missing import Measured
from accounting.percentiles import quoted
from accounting.record_columns import RecordColumns, concatenated
from workbench.cell_data import CellData


def latency_summaries(cells: Sequence[CellData]) -> dict[str, Any]:
    """ttft_s, tpot_s, e2e_s and chunk_gap_s of the requests of all these windows that one clock stamped."""
    one = len(set().union(*(clocks(cell.in_window) for cell in cells))) <= 1
    samples = pooled_samples(cells) if one else latency_samples(_timed(cells))
    summaries = {f"{name}_s": quoted(values) for name, values in samples.items()}
    if not summaries["tpot_s"]["samples"] and no_running_count(_timed(cells)):
        summaries["tpot_s"]["reason"] = NO_RUNNING_COUNT
    return summaries


def pooled_samples(cells: Sequence[CellData]) -> dict[str, NDArray[np.float64]]:
    """Latencies of the requests of all these windows, by whatever clock, seconds: what each cell keeps, put together."""
    if len(cells) == 1:
        return cells[0].samples
    return {name: np.concatenate([cell.samples[name] for cell in cells]) for name in latency_samples(())}


def _timed(cells: Sequence[CellData]) -> RecordColumns:
    return one_clock(concatenated([cell.in_window for cell in cells]))[1]


def plain(value: Measured) -> dict[str, Any]:
    """A value and, where it is None, why."""
    return {"value": value.value, "reason": value.reason or None}
