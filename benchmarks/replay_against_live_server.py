"""What live servers say for replay_against_live.py: the target's traces, and each drafter's counters on the same prompts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from accounting import acceptance
from accounting import metric_names as names
from accounting.counters import CounterChange, difference
from drafts.replay.traces import Trace, read_traces, write_traces
from serving.config import DEFAULT_MODEL, ServerConfig
from workbench.collect_command import CollectRequest, collect
from workbench.collect_files import DOCUMENT
from workbench.collect_prompts import Side
from workbench.quality.asking import ask_each, post
from workbench.server_under_test import ServerUnderTest, placement_for, started_server
from workbench.settled_counters import settled_page

CLASSES = ("copy", "chat")
DTYPE = "float32"  # where an answer with drafts is the answer without
MAX_MODEL_LEN = 1024
BEYOND = 24  # tokens behind each answer's end: the longest draft
COLLECTING_STREAMS = 8

Row = dict[str, Any]


@contextmanager
def running(speculation: Row, log: Path) -> Iterator[ServerUnderTest]:
    """The default model on this machine, with this speculation."""
    config = ServerConfig.model_validate(
        {
            "model": {"name": DEFAULT_MODEL, "dtype": DTYPE, "max_model_len": MAX_MODEL_LEN},
            "batching": {"max_num_seqs": COLLECTING_STREAMS},
            "engine": {"enforce_eager": True},
            "speculation": speculation,
        }
    )
    log.parent.mkdir(parents=True, exist_ok=True)
    with started_server(config, placement_for(config), log_path=log, report=lambda _text: None) as server:
        yield server


def collected(work: Path, prompts: int, tokens: int, argv: Sequence[str]) -> tuple[Path, list[Trace], Row]:
    """Traces of the unspeculated target, one class after the other; their file, and the document of their making."""
    if not (work / "collected" / DOCUMENT).exists():
        _collect(work, prompts, tokens, argv)
    document = json.loads((work / "collected" / DOCUMENT).read_text())
    both = [trace for side in Side for trace in read_traces(work / "collected" / f"{side}.jsonl")]
    ordered = [trace for label in CLASSES for trace in both if trace.label == label]
    return written(work / "traces.jsonl", ordered), ordered, document


def _collect(work: Path, prompts: int, tokens: int, argv: Sequence[str]) -> None:
    with running({"method": "off"}, work / "target.log") as server:
        request = CollectRequest(
            url=server.base_url,
            workloads=CLASSES,
            max_tokens=tokens,
            count=prompts,
            concurrency=COLLECTING_STREAMS,
            seed=1,
            endpoint="chat",
            heldout_share=0.0,
            beyond=BEYOND,
        )
        collect(request, out=work / "collected", argv=argv, say=lambda _text: None)


def written(path: Path, traces: Sequence[Trace]) -> Path:
    """The file, with these traces in it."""
    write_traces(path, traces)
    return path


def measured(server: ServerUnderTest, traces: Sequence[Trace], tokens: int, streams: int) -> list[Row]:
    """Ask every prompt again, in order; the counters' acceptance of all, then of each class."""
    pages = [settled_page(server)]
    same = []
    for label in CLASSES:
        asked = [trace for trace in traces if trace.label == label]
        same.append((len(asked), asyncio.run(_same_answers(server, asked, tokens, streams))))
        pages.append(settled_page(server))
    total = (sum(answers for answers, _ in same), sum(equal for _, equal in same))
    rows = [_row(None, difference(pages[0], pages[-1]), *total)]
    for number, label in enumerate(CLASSES):
        rows.append(_row(label, difference(pages[number], pages[number + 1]), *same[number]))
    return rows


async def _same_answers(server: ServerUnderTest, traces: Sequence[Trace], tokens: int, streams: int) -> int:
    same = 0

    async def ask(http: httpx.AsyncClient, trace: Trace) -> None:
        nonlocal same
        body = {
            "model": server.model_name,
            "prompt": trace.prompt_token_ids,
            "max_tokens": tokens,
            "temperature": 0,
            "return_token_ids": True,
        }
        answered = await post(http, "/v1/completions", body)
        same += answered["choices"][0]["token_ids"] == trace.output_token_ids

    await ask_each(server, traces, ask, concurrency=streams)
    return same


def _row(label: str | None, change: CounterChange, answers: int, same: int) -> Row:
    return {
        "label": label,
        "answers": answers,
        "same_answers": same,
        "drafts": change.increase(names.DRAFTS),
        "drafted_tokens": change.increase(names.DRAFT_TOKENS),
        "accepted_tokens": change.increase(names.ACCEPTED_TOKENS),
        "acceptance_length": acceptance.acceptance_length(change).value,
        "by_position": acceptance.acceptance_by_position(change),
        "tokens_per_step": acceptance.tokens_per_step(change).value,
    }
