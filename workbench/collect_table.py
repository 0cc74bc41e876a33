"""A collection as a person reads it: what stands in each part, then what is missing and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

Document = dict[str, Any]


def collect_table(document: Document, out: str) -> Group:
    """One line per part and class, then sentences."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("file", "class", "templates", "traces", "prompt tokens", "answer tokens", "cut off"):
        table.add_column(name, justify="left" if name in ("file", "class") else "right", no_wrap=True)
    for part in document["parts"].values():
        table.add_row(
            f"[bold]{part['file']}[/]",
            "all",
            "",
            f"{part['traces']:,}",
            f"{part['prompt_tokens']:,}",
            f"{part['output_tokens']:,}",
            f"{part['cut_off']:,}",
        )
        for label, known in part["classes"].items():
            table.add_row("", Text(label), f"{len(known['templates'])}", f"{known['traces']:,}", "", "", "")
    summary = document["summary"]
    head = Text(f"{summary['answered']:,} of {summary['prompts']:,} prompts are answered, in {out}")
    return Group(head, table, *(Text(f"  {note}", style="dim") for note in _notes(document)))


def _notes(document: Document) -> Iterator[str]:
    summary = document["summary"]
    for reason, requests in summary["failed"].items():
        yield f"failed, {requests:,} times: {reason} (the same command asks these again)"
    if waiting := summary["prompts"] - summary["answered"] - sum(summary["failed"].values()):
        yield f"{waiting:,} prompts were not asked, as the time was over (the same command goes on)"
    for workload, division in zip(document["workloads"], document["divisions"], strict=True):
        yield f"{workload['name']}: divided {division}"
    if repeated := summary["repeated_requests"] + summary["repeated_prompt_tokens"]:
        yield f"{repeated:,} prompts repeat another one's request or tokens and are left out"
    if summary["not_greedy"]:
        yield f"{summary['not_greedy']:,} answers are sampled: replay says nothing exact about them"
    if summary["turns_not_asked"]:
        yield f"{summary['turns_not_asked']:,} further turns of conversations were not asked"
    if summary["end_not_known"]:
        yield f"{summary['end_not_known']:,} greedy answers have nothing behind their end (no room left)"
    servers = [start["server"] for start in document["starts"]]
    for key in ("version", "speculation", "dtype", "quantization", "kv_cache_dtype"):
        said = list(dict.fromkeys(str(server[key]) for server in servers if server[key] is not None))
        if len(said) > 1:
            yield f"the servers of {len(servers)} starts differ in {key}: {', '.join(said)}"
