"""The files of a collection: a journal that a kill cannot hurt, and from it the traces of each part and their summary.

journal.jsonl   every answer as it came, every failure, every start
train.jsonl     traces, in the order of the prompts; no prompt's tokens twice, in neither file
heldout.jsonl   the same, of other templates
collect.json    how they were made, and the summary
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from accounting.errors import RunError
from drafts.replay.traces import Trace, write_traces
from workbench.collect_prompts import Chosen, Side
from workbench.line_journal import LineJournal

JOURNAL = "journal.jsonl"
DOCUMENT = "collect.json"
Row = Mapping[str, Any]


@dataclass
class Collected:
    """What the journal knows: traces by prompt, the last failure of each prompt without one, all starts."""

    journal: LineJournal
    traces: dict[str, Trace] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    starts: list[Row] = field(default_factory=list)

    @staticmethod
    def of(journal: LineJournal) -> Collected:
        """What earlier starts left."""
        collected = Collected(journal)
        for row in journal.rows:
            collected._take(row)
        return collected

    def add(self, row: Row) -> None:
        """Keep `{"trace": ...}`, `{"failed": id, "reason": ...}` or `{"start": ...}`, on disk and in memory."""
        self.journal.add(row)
        self._take(row)

    def _take(self, row: Row) -> None:
        if "trace" in row:
            try:
                trace = msgspec.convert(row["trace"], Trace)
            except msgspec.ValidationError:
                return  # a damaged line: its prompt is asked again
            self.traces[trace.id] = trace
            self.failures.pop(trace.id, None)
        elif "failed" in row:
            self.failures[row["failed"]] = row["reason"]
        elif "start" in row:
            self.starts.append(row["start"])


def check_same(directory: Path, ours: Row, theirs: Row) -> None:
    """Refuse to go on in a directory whose answers were asked for otherwise.

    Raises:
        RunError: naming what differs.
    """
    keys = dict.fromkeys([*ours, *theirs])
    different = [key for key in keys if ours.get(key) != theirs.get(key)]
    listed = "; ".join(
        f"{key} {theirs.get(key, 'not said')}, not {ours.get(key, 'not said')}" for key in different
    )
    raise RunError(
        f"{directory} holds answers that were collected otherwise: {listed}.",
        hint="Give the options that it was begun with, to go on there, or another --out.",
    )


def write_parts(directory: Path, chosen: Chosen, traces: Mapping[str, Trace]) -> tuple[dict[str, Row], int]:
    """Write the file of each part whole; their summaries, and how many answers to equal prompt tokens were left out."""
    kept: dict[Side, list[Trace]] = {side: [] for side in Side}
    seen: set[bytes] = set()
    repeated = 0
    for sided in chosen.prompts:
        trace = traces.get(sided.prompt.prompt_id)
        if trace is None:
            continue
        tokens = msgspec.msgpack.encode(trace.prompt_token_ids)
        if tokens in seen:
            repeated += 1
            continue
        seen.add(tokens)
        kept[sided.side].append(trace)
    for side, traces_of in kept.items():
        write_traces(directory / f"{side}.jsonl", traces_of)
    return {
        str(side): _part_summary(f"{side}.jsonl", traces_of) for side, traces_of in kept.items()
    }, repeated


def _part_summary(name: str, traces: Sequence[Trace]) -> Row:
    return {
        "file": name,
        "traces": len(traces),
        "prompt_tokens": sum(len(trace.prompt_token_ids) for trace in traces),
        "output_tokens": sum(len(trace.output_token_ids) for trace in traces),
        "cut_off": sum(trace.finish_reason == "length" for trace in traces),
        "classes": {
            label: {
                "traces": sum(trace.label == label for trace in traces),
                "templates": sorted({trace.template for trace in traces if trace.label == label}),
            }
            for label in Counter(trace.label for trace in traces)
        },
    }
