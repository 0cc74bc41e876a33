"""What `kilotoken replay` does: read traces, walk them with a drafter for each k, sum up by class, show."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from accounting.errors import ConfigError
from drafts.replay.acceptance import acceptance_of
from drafts.replay.counting import replay_ngram, replay_suffix
from drafts.replay.ngram import NgramWindow
from drafts.replay.suffix import SuffixSettings
from drafts.replay.traces import read_traces
from serving.models.fetch import Report
from workbench.replay_draft import DraftModel, replay_draft

LONGEST_DRAFT = 128
_METHODS: dict[type[Any], str] = {NgramWindow: "ngram", SuffixSettings: "suffix", DraftModel: "draft"}
ALL = "all"


def draft_lengths(text: str) -> list[int]:
    """The k that are meant: `4`, `1..8`, or `1,2,4`.

    Raises:
        ConfigError: if it is none of these, or a k lies outside 1..128.
    """
    if found := re.fullmatch(r"(\d{1,4})\.\.(\d{1,4})", text):
        ks = list(range(int(found[1]), int(found[2]) + 1))
    elif re.fullmatch(r"\d{1,4}(,\d{1,4})*", text):
        ks = sorted({int(part) for part in text.split(",")})
    else:
        ks = []
    if not ks or ks[0] < 1 or ks[-1] > LONGEST_DRAFT:
        raise ConfigError(
            f"--k {text!r} is no draft length: 1 to {LONGEST_DRAFT}.", hint="Write 4, 1..8 or 1,2,4."
        )
    return ks


Drafter = NgramWindow | SuffixSettings | DraftModel


def replayed(
    path: Path,
    drafter: Drafter,
    ks: Sequence[int],
    max_model_len: int | None,
    *,
    report: Report = lambda *_: None,
) -> dict[str, Any]:
    """Replay the file; the document that is printed. `report` hears how far a model's pass over the answers is.

    Raises:
        ConfigError: if the window or a line of the file cannot be used.
        MachineError: if the file cannot be read, or the drafter's package is missing.
        ModelError: if a draft or its target cannot be had or read.
    """
    if isinstance(drafter, NgramWindow) and drafter.shortest > drafter.longest:
        raise ConfigError(
            f"--prompt-lookup-min ({drafter.shortest}) exceeds --prompt-lookup-max ({drafter.longest}).",
            hint="The window goes from the shortest to the longest n-gram.",
        )
    traces = read_traces(path)
    if isinstance(drafter, NgramWindow):
        counts = replay_ngram(traces, drafter, ks, max_model_len)
    elif isinstance(drafter, DraftModel):
        counts = replay_draft(path, traces, drafter, ks, max_model_len, report=report)
    else:
        counts = {k: replay_suffix(traces, replace(drafter, k=k, max_model_len=max_model_len)) for k in ks}
    labels = [trace.label for trace in traces]
    rows = []
    for label in (None, *sorted(set(labels))):  # None is the whole file, whatever a class is called
        for k in ks:
            chosen = [c for c, of in zip(counts[k], labels, strict=True) if label in (None, of)]
            rows.append({"label": label} | asdict(acceptance_of(chosen, k)))
    settings = asdict(drafter)
    settings.pop("k", None)
    return {
        "traces": str(path),
        "model": traces[0].model,
        "method": _METHODS[type(drafter)],
        "settings": settings | {"max_model_len": max_model_len},
        "interval": "95 %, cluster-robust over answers",
        "rows": rows,
    }


def replay_table(document: Mapping[str, Any]) -> RenderableType:
    """One line per class and k."""
    table = Table(box=None, pad_edge=False)
    for heading in (
        "class",
        "k",
        "answers",
        "drafted steps",
        "AL = E(k)",
        "at most",
        "tokens/step",
        "s_1 s_2 ...",
    ):
        table.add_column(heading, justify="left" if heading in ("class", "s_1 s_2 ...") else "right")
    for row in document["rows"]:
        table.add_row(
            f"[bold]{ALL}[/]" if row["label"] is None else escape(row["label"]),
            str(row["k"]),
            str(row["answers"]),
            f"{row['drafts']:,.0f} of {row['steps']:,.0f}",
            _number(row["acceptance_length"], row["acceptance_length_interval"]),
            _number(row["acceptance_length_at_most"], None),
            _number(row["tokens_per_step"], row["tokens_per_step_interval"]),
            " ".join(f"{s:.2f}" for s in row["by_position"][:8])
            + (" ..." if len(row["by_position"]) > 8 else ""),
        )
    notes = [
        f"{document['method']}, {_settings(document['settings'])}. Intervals: {document['interval']}.",
        "AL counts drafted steps only, tokens/step all decode steps. 'At most': had the target gone on as "
        "drafted where the log ends.",
    ]
    reasons = {
        row[key]["reason"] for row in document["rows"] for key in ("acceptance_length", "tokens_per_step")
    }
    notes += [f"-: not measured, because {reason}." for reason in sorted(reasons - {""})]
    return Group(table, Text(), *(Text(note, style="dim") for note in notes))


def _number(measured: Mapping[str, Any], interval: Sequence[float] | None) -> str:
    if measured["value"] is None:
        return "-"
    between = f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else ""
    return f"{measured['value']:.2f}{between}"


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in settings.items() if value is not None)
