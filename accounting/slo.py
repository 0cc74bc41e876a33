"""A service-level objective: per-request limits and one attainment floor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from accounting import latency_columns
from accounting.missing import Measured, measured, not_measured
from accounting.record_columns import Bools, RecordColumns, Records, Seconds, as_columns, total


@dataclass(frozen=True, slots=True)
class Slo:
    """Limits that one request must *all* meet, and the share of requests that must meet them.

    `ttft_s`, `tpot_s`, `e2e_s` in seconds, None where there is no limit; `attainment_floor` in (0, 1].
    """

    ttft_s: float | None = 1.0
    tpot_s: float | None = 0.033
    e2e_s: float | None = None
    attainment_floor: float = 0.95

    def tightened(self, share: float) -> Slo:
        """The same SLO with every limit lower by this share."""
        return replace(
            self,
            **{
                name: limit * (1 - share)
                for name in ("ttft_s", "tpot_s", "e2e_s")
                if (limit := getattr(self, name))
            },
        )

    def met(self, records: Records) -> Bools:
        """Which requests met every limit. A failed request never does.

        A limit whose statistic does not exist for this answer is decided by what is known: an answer of a
        single chunk has no TPOT and cannot break that limit; a censored first token is judged by its
        upper bound.
        """
        columns = as_columns(records)
        return columns.ok & self.kept(*statistics(columns))

    def kept(self, ttft_s: Seconds, tpot_s: Seconds, e2e_s: Seconds) -> Bools:
        """Which answers keep every limit; NaN, a statistic that does not exist, breaks none."""
        kept = np.ones(len(ttft_s), dtype=bool)
        limits = (self.ttft_s, self.tpot_s, self.e2e_s)
        for limit, values in zip(limits, (ttft_s, tpot_s, e2e_s), strict=True):
            if limit is not None:
                kept &= np.isnan(values) | (values <= limit)
        return kept


def statistics(columns: RecordColumns) -> tuple[Seconds, Seconds, Seconds]:
    """TTFT, TPOT and E2E of each answer as an SLO judges them, seconds; NaN for one that does not exist."""
    return (
        columns.first_text_s - columns.intended_send_s,
        latency_columns.tpots_s(columns),
        latency_columns.e2es_s(columns),
    )


@dataclass(frozen=True, slots=True)
class Attainment:
    """Share of requests, and of output tokens, that met the SLO (failures in the denominators)."""

    requests: Measured
    tokens: Measured


def fewest_answers(floor: float) -> int:
    """Answers that a floor needs before a single miss is not the whole verdict: 20 for 95 %, at most 1000."""
    return min(1000, math.ceil(round(1 / (1 - floor), 9))) if floor < 1 else 1000


def attainment(records: Records, slo: Slo) -> Attainment:
    """Attainment over the requests sent inside a window."""
    return pooled_attainment([as_columns(records)], slo)


def pooled_attainment(windows: Sequence[RecordColumns], slo: Slo) -> Attainment:
    """Attainment over the requests of several windows together."""
    requests = sum(len(columns) for columns in windows)
    if not requests:
        nothing = not_measured("no request was sent inside the window")
        return Attainment(nothing, nothing)
    met = [slo.met(columns) for columns in windows]
    tokens = sum(total(columns.completion_tokens) for columns in windows)
    met_tokens = sum(
        total(columns.completion_tokens[some]) for columns, some in zip(windows, met, strict=True)
    )
    share = measured(met_tokens / tokens) if tokens else not_measured("no tokens were delivered")
    return Attainment(measured(sum(int(some.sum()) for some in met) / requests), share)
