"""The steady window of a load whose edges nobody fixed: where throughput was steady, chosen by precision alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from accounting.record_columns import Records, as_columns
from accounting.steady_window import choose_window
from accounting.verdicts import MINIMUM_WINDOW_S
from accounting.window_series import bin_edges, window_series


@dataclass(frozen=True, slots=True)
class ChosenWindow:
    """Edges in seconds on the records' clock. Without a steady state `reason` says so and the edges hold everything."""

    start_s: float
    end_s: float
    reason: str = ""


def chosen_window(records: Records, *, minimum_s: float = MINIMUM_WINDOW_S) -> ChosenWindow:
    """Choose from the first measured send to the last: what comes after is drain.

    Raises:
        ValueError: if no measured request was sent.
    """
    columns = as_columns(records)
    sends = columns.intended_send_s[columns.measured]
    if not len(sends):
        raise ValueError("a window needs measured requests")
    start_s, end_s = float(sends.min()), float(sends.max())
    if end_s - start_s < minimum_s:
        everything_s = max(end_s, float(columns.end_s[columns.measured].max()))
        return ChosenWindow(
            start_s, everything_s, f"no steady state: requests were sent for {end_s - start_s:.1f} s"
        )
    edges_s = bin_edges(start_s, end_s)
    bins = math.ceil(minimum_s / (edges_s[1] - edges_s[0]) - 1e-9)
    window = choose_window(window_series(columns, edges_s).tokens_per_s, minimum_bins=bins)
    if window.start is None or window.end is None:
        return ChosenWindow(start_s, end_s, window.reason)
    return ChosenWindow(float(edges_s[window.start]), float(edges_s[window.end]))
