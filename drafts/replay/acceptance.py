"""From counted answers to acceptance by class: the same arithmetic as for a server's counters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from accounting import acceptance
from accounting import metric_names as names
from accounting.counters import CounterChange
from accounting.missing import Measured, not_measured
from accounting.ratio_interval import clustered_ratio_interval
from drafts.replay.walk import WalkCounts

Interval = tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What replaying the answers of one class with one drafter gave; intervals at 95 %, over answers."""

    k: int
    answers: int
    output_tokens: int
    steps: float
    drafts: float
    drafted_tokens: float
    by_position: list[float]  # s_i, i = 1..k; empty where nothing was drafted
    by_position_intervals: list[Interval]
    acceptance_length: Measured  # also E(k) = 1 + sum s_i: the two are one number
    acceptance_length_interval: Interval
    acceptance_length_at_most: Measured  # had the target accepted all that was drafted behind the log's end
    acceptance_rate: Measured
    tokens_per_step: Measured
    tokens_per_step_interval: Interval


def acceptance_of(counts: Sequence[WalkCounts], k: int) -> Acceptance:
    """Sum up and judge the answers of one class."""
    change = _as_counters(counts, k)
    drafts = sum(c.drafts for c in counts)
    length = acceptance.acceptance_length(change)
    beyond = sum(sum(c.beyond_end) for c in counts)
    at_most = (
        not_measured(length.reason) if length.value is None else Measured(length.value + beyond / drafts)
    )
    return Acceptance(
        k=k,
        answers=len(counts),
        output_tokens=sum(c.output_tokens for c in counts),
        steps=sum(c.steps for c in counts),
        drafts=drafts,
        drafted_tokens=sum(c.drafted_tokens for c in counts),
        by_position=acceptance.acceptance_by_position(change),
        by_position_intervals=[_over_drafts(counts, _at(i), high=1.0) for i in range(k)] if drafts else [],
        acceptance_length=length,
        acceptance_length_interval=_over_drafts(counts, lambda c: c.drafts + c.accepted_tokens, 1.0, k + 1.0),
        acceptance_length_at_most=at_most,
        acceptance_rate=acceptance.acceptance_rate(change),
        tokens_per_step=acceptance.tokens_per_step(change),
        tokens_per_step_interval=_clipped(
            clustered_ratio_interval([c.output_tokens - 1 for c in counts], [c.steps for c in counts]),
            1.0,
            k + 1.0,
        ),
    )


def _as_counters(counts: Sequence[WalkCounts], k: int) -> CounterChange:
    increases = {
        names.DRAFTS: float(sum(c.drafts for c in counts)),
        names.DRAFT_TOKENS: float(sum(c.drafted_tokens for c in counts)),
        names.ACCEPTED_TOKENS: float(sum(c.accepted_tokens for c in counts)),
        names.GENERATION_TOKENS: float(sum(c.output_tokens for c in counts)),
        names.FIRST_TOKENS: float(len(counts)),
        names.DECODE_STEPS: float(sum(c.steps for c in counts)),
    }
    for i in range(k):
        key = names.labelled(names.ACCEPTED_TOKENS_PER_POSITION, str(i))
        increases[key] = float(sum(c.accepted[i] for c in counts))
    return CounterChange(0.0, 0.0, increases)


def _at(index: int) -> Callable[[WalkCounts], float]:
    return lambda counts: counts.accepted[index]


def _over_drafts(
    counts: Sequence[WalkCounts], of: Callable[[WalkCounts], float], low: float = 0.0, high: float = 1.0
) -> Interval:
    return _clipped(clustered_ratio_interval([of(c) for c in counts], [c.drafts for c in counts]), low, high)


def _clipped(interval: Interval, low: float, high: float) -> Interval:
    return None if interval is None else (max(low, interval[0]), min(high, interval[1]))
