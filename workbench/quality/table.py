"""Measured qualities as the tables that a person reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from workbench.titled_table import titled_table

Document = dict[str, Any]
DASH = "–"


def quality_table(documents: Sequence[Document]) -> Group:
    """Score and perplexity of each, the paired differences below, and what a reader must know of each."""
    first = documents[0]
    shown = titled_table(f"{first['set']}, {first['n']} items, seed {first['seed']} (intervals: 95 %)")
    for name in (
        "server",
        "score",
        "interval",
        "right",
        "failed",
        "cut off",
        "perplexity",
        "interval",
        "tokens",
    ):
        shown.add_column(name, justify="left" if name == "server" else "right", no_wrap=True)
    for document in documents:
        shown.add_row(*_row(document))
    parts: list[Any] = [shown]
    compared = [document for document in documents if "against" in document]
    if compared:
        parts += [Text(), _paired_table(compared)]
    notes = dict.fromkeys(note for document in documents for note in _notes(document))
    parts += [Text(f"  {note}", style="dim") for note in notes]
    parts += [Text(f"  {document['label']}: {document['file']}") for document in documents]
    return Group(*parts)


def _row(document: Document) -> list[str]:
    score, perplexity = document["score"], document["perplexity"]
    return [
        document["label"],
        f"{score['value']:.1%}",
        between(score["interval"], ".1%"),
        f"{document['right']} of {document['items']}",
        str(document["failures"]),
        str(document["cut_off"]),
        number(perplexity["value"], ".4f"),
        between(perplexity["interval"], ".4f"),
        str(perplexity["tokens"]) if perplexity["tokens"] else DASH,
    ]


def _paired_table(documents: Sequence[Document]) -> Table:
    shown = titled_table(
        "On the same items, against another result (perplexity ratio above 1: predicts worse)"
    )
    for name in ("server", "against", "score", "interval", "McNemar p", "perplexity ratio", "interval"):
        shown.add_column(name, justify="left" if name in ("server", "against") else "right", no_wrap=True)
    for document in documents:
        against = document["against"]
        score, perplexity = against["score"], against["perplexity"]
        shown.add_row(
            document["label"],
            against["against"],
            f"{score['difference']:+.1%}",
            between(score["interval"], "+.1%"),
            f"{score['p_value']:.3f}",
            number(perplexity["ratio"], ".5f"),
            between(perplexity["interval"], ".5f"),
        )
    return shown


def _notes(document: Document) -> list[str]:
    label = document["label"]
    notes = [f"{label}: {count} failed: {reason}" for reason, count in document["failure_reasons"].items()]
    if document["perplexity"]["reason"]:
        notes.append(f"{label}: perplexity {document['perplexity']['reason']}")
    if reason := document.get("against", {}).get("perplexity", {}).get("reason"):
        notes.append(f"{label}: perplexity {reason}")
    return notes


def number(value: float | None, form: str) -> str:
    """A number, or a dash where there is none."""
    return DASH if value is None else format(value, form)


def between(interval: Sequence[float] | None, form: str) -> str:
    """An interval in words, or a dash."""
    return DASH if interval is None else f"{interval[0]:{form}} to {interval[1]:{form}}"
