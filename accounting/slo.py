"""A service-level objective: per-request limits and one attainment floor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from accounting import latency
from accounting.missing import Measured, measured, not_measured
from accounting.records import RequestRecord


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

    def met_by(self, record: RequestRecord) -> bool:
        """Whether this request met every limit. A failed request never does.

        A limit whose statistic does not exist for this answer is decided by what is known: an answer of a
        single chunk has no TPOT and cannot break that limit; a censored first token is judged by its
        upper bound.
        """
        if not record.ok:
            return False
        limits = zip((self.ttft_s, self.tpot_s, self.e2e_s), statistics(record), strict=True)
        return all(limit is None or statistic is None or statistic <= limit for limit, statistic in limits)


def statistics(record: RequestRecord) -> tuple[float | None, float | None, float | None]:
    """TTFT, TPOT and E2E of an answer as an SLO judges them, seconds; None for one that does not exist."""
    first_token_s = latency.ttft_s(record)
    if first_token_s is None and record.first_text_s is not None:
        first_token_s = record.first_text_s - record.intended_send_s
    return first_token_s, latency.tpot_s(record), latency.e2e_s(record)


@dataclass(frozen=True, slots=True)
class Attainment:
    """Share of requests, and of output tokens, that met the SLO (failures in the denominators)."""

    requests: Measured
    tokens: Measured


def fewest_answers(floor: float) -> int:
    """Answers that a floor needs before a single miss is not the whole verdict: 20 for 95 %, at most 1000."""
    return min(1000, math.ceil(round(1 / (1 - floor), 9))) if floor < 1 else 1000


def attainment(records: Sequence[RequestRecord], slo: Slo) -> Attainment:
    """Attainment over the requests sent inside a window."""
    if not records:
        nothing = not_measured("no request was sent inside the window")
        return Attainment(nothing, nothing)
    met = [record for record in records if slo.met_by(record)]
    tokens = sum(record.completion_tokens or 0 for record in records)
    met_tokens = sum(record.completion_tokens or 0 for record in met)
    share = measured(met_tokens / tokens) if tokens else not_measured("no tokens were delivered")
    return Attainment(measured(len(met) / len(records)), share)
