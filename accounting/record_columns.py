"""Requests as columns: a million records are a few arrays. What is computed over many requests is computed on these.

One `RequestRecord` is how a request is told apart from others, where it is made and where it is looked at; sums, shares
and percentiles run over columns. `as_columns` takes either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accounting.records import Chunks, Outcome, Phase, RequestRecord

#: Stands for None in a column of counts; no server can state it.
UNKNOWN = int(np.iinfo(np.int64).min)
OUTCOMES = tuple(Outcome)
KERNEL, USER = "kernel", "user"

Bools = NDArray[np.bool_]
Counts = NDArray[np.int64]
Seconds = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RecordColumns:
    """Columns of equal length, one row per request, and the stream events of all of them in `events`.

    Times in seconds, NaN where a record has None; counts are `UNKNOWN` there. `measured`: not warm-up; `outcome` indexes
    `OUTCOMES`; `kernel_clock`: stamped by the kernel, else by the client. Row i's events are
    `events[starts[i]:starts[i + 1]]`, in order of arrival; `starts` is one longer than the other columns.
    """

    measured: Bools
    outcome: NDArray[np.int8]
    workload: NDArray[np.object_]
    prompt_id: NDArray[np.object_]
    prompt_repeat: Counts
    turn: Counts
    intended_send_s: Seconds
    sent_s: Seconds
    end_s: Seconds
    http_status: Counts
    prompt_tokens: Counts
    completion_tokens: Counts
    token_ids_count: Counts
    expected_tokens: Counts
    kernel_clock: Bools
    first_text_s: Seconds
    first_text_censored: Bools
    unstamped_reads: Counts
    starts: Counts
    events: Chunks

    def __len__(self) -> int:
        """Number of requests."""
        return len(self.outcome)

    @property
    def ok(self) -> Bools:
        """Which requests ended as they should."""
        ok: Bools = self.outcome == OUTCOMES.index(Outcome.OK)
        return ok

    @property
    def event_counts(self) -> Counts:
        """Events of each request."""
        return np.diff(self.starts)

    def take(self, rows: Bools | NDArray[np.intp]) -> RecordColumns:
        """Some of the requests: those that a mask keeps, or those at these indexes, in that order."""
        index: NDArray[Any] = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        if len(index) and bool((np.diff(index) == 1).all()):  # neighbours: views, and no event is copied
            return self._part(slice(int(index[0]), int(index[-1]) + 1))
        lengths = self.event_counts[index]
        starts = np.concatenate(([0], np.cumsum(lengths)))
        events = np.arange(starts[-1]) + np.repeat(self.starts[:-1][index] - starts[:-1], lengths)
        return self._with(index, starts, _events_at(self.events, events))

    def _part(self, rows: slice) -> RecordColumns:
        starts = self.starts[rows.start : rows.stop + 1]
        events = slice(int(starts[0]), int(starts[-1]))
        return self._with(rows, starts - starts[0], _events_at(self.events, events))

    def _with(self, rows: slice | NDArray[np.intp], starts: Counts, events: Chunks) -> RecordColumns:
        kept: dict[str, Any] = {name: getattr(self, name)[rows] for name in _ROWS}
        return RecordColumns(**kept, starts=starts, events=events)


_ROWS = tuple(field.name for field in fields(RecordColumns) if field.name not in ("starts", "events"))

#: What every function over requests takes.
Records = Sequence[RequestRecord] | RecordColumns


def as_columns(records: Records) -> RecordColumns:
    """Columns as they are; rows made into columns."""
    if isinstance(records, RecordColumns):
        return records
    rows = list(records)
    return RecordColumns(
        measured=np.array([r.phase is Phase.MEASURED for r in rows], dtype=np.bool_),
        outcome=np.array([OUTCOMES.index(r.outcome) for r in rows], dtype=np.int8),
        workload=np.array([r.workload for r in rows], dtype=np.object_),
        prompt_id=np.array([r.prompt_id for r in rows], dtype=np.object_),
        prompt_repeat=_counts(r.prompt_repeat for r in rows),
        turn=_counts(r.turn for r in rows),
        intended_send_s=_seconds(r.intended_send_s for r in rows),
        sent_s=_seconds(r.sent_s for r in rows),
        end_s=_seconds(r.end_s for r in rows),
        http_status=_counts(r.http_status for r in rows),
        prompt_tokens=_counts(r.prompt_tokens for r in rows),
        completion_tokens=_counts(r.completion_tokens for r in rows),
        token_ids_count=_counts(r.token_ids_count for r in rows),
        expected_tokens=_counts(r.expected_tokens for r in rows),
        kernel_clock=np.array([r.clock == KERNEL for r in rows], dtype=np.bool_),
        first_text_s=_seconds(r.first_text_s for r in rows),
        first_text_censored=np.array([r.first_text_censored for r in rows], dtype=np.bool_),
        unstamped_reads=_counts(r.unstamped_reads for r in rows),
        starts=np.cumsum([0, *(len(r.chunks) for r in rows)], dtype=np.int64),
        events=_joined([r.chunks for r in rows]),
    )


def concatenated(parts: Sequence[RecordColumns]) -> RecordColumns:
    """All requests of the parts, in their order."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return as_columns(())
    lengths = np.concatenate([part.event_counts for part in parts])
    rows: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ROWS}
    starts = np.concatenate(([0], np.cumsum(lengths)))
    return RecordColumns(**rows, starts=starts, events=_joined([part.events for part in parts]))


def total(counts: Counts) -> int:
    """The sum of what is known, exact however large."""
    return sum(counts[counts != UNKNOWN].tolist())


def there(values: Seconds) -> Seconds:
    """Values without NaN, in their order."""
    known: Seconds = values[~np.isnan(values)]
    return known


def _events_at(events: Chunks, where: slice | NDArray[np.int64]) -> Chunks:
    return Chunks(events.at_s[where], events.tokens[where], events.censored[where], events.lag_s[where])


def _joined(parts: Sequence[Chunks]) -> Chunks:
    if not parts:
        return Chunks.of(())
    columns: Iterable[NDArray[Any]] = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("at_s", "tokens", "censored", "lag_s")
    )
    return Chunks(*columns)


def _counts(values: Iterable[int | None]) -> Counts:
    return np.array([UNKNOWN if v is None else v for v in values], dtype=np.int64)


def _seconds(values: Iterable[float | None]) -> Seconds:
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
