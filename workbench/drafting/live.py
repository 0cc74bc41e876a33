"""Acceptance as a live server counts it, and as replay says it of the very answers that this server gave.

The answers come from the server that speculates, so that no near-tie of two numerics lies between text and counters.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import msgspec

from accounting import acceptance
from accounting import metric_names as names
from accounting.counters import difference
from accounting.errors import ConfigError, ModelError, ServerError
from drafts.replay.acceptance import acceptance_of
from drafts.replay.traces import Trace, write_traces
from loadtest.workloads import Prompt, Split, load_workload
from serving.models.checkpoint_facts import read_checkpoint_facts
from workbench.collect_asking import CollectAsk, NoTokenIdsError, collected, said_beyond
from workbench.drafting.sections import server_with, speculation
from workbench.quality.asking import ItemFailedError, ServerGoneError, ask_each
from workbench.replay_draft import DraftModel, replay_draft
from workbench.server_under_test import ServerUnderTest, placement_for, started_server
from workbench.settled_counters import settled_page

Say = Callable[[str], None]
#: Per-position acceptance may differ so far between replay and server.
ALLOWED = 0.03
#: Of fewer drafted steps a difference of three points is chance.
LEAST_DRAFTS = 300
STREAMS, MAX_NUM_SEQS = 4, 8


@dataclass(frozen=True, slots=True)
class LiveAsk:
    """Which prompts are put to the server: so many of each workload, answers of so many tokens."""

    workloads: tuple[str, ...]
    prompts: int = 40
    max_tokens: int = 64
    seed: int = 1


def live_against_replay(
    draft: Path, target: Path, k: int, ask: LiveAsk, *, dtype: str, log: Path, say: Say
) -> dict[str, Any]:
    """Serve, ask, count, replay; the document's part. Draft and target are directories; what a check said does not matter.

    Raises:
        ConfigError: if a workload cannot be used; nothing is started then.
        ModelError: if the draft cannot be replayed, or drafted too seldom to say anything.
        ServerError: if the server does not start or answer.
    """
    # Two workloads may share prompts, as a mix and its part.
    prompts = list({p.prompt_id: p for name in ask.workloads for p in _prompts(name, ask)}.values())
    facts = read_checkpoint_facts(target)
    section = speculation(read_checkpoint_facts(draft), draft, k)
    config = server_with(str(target), facts, section, dtype=dtype, streams=MAX_NUM_SEQS)
    drafter = DraftModel(str(draft), str(target), dtype, unchecked=True)
    placement = placement_for(config, report=say)
    with started_server(config, placement, log_path=log, report=say) as server:
        before = settled_page(server)
        asked = CollectAsk(server.model_name, "chat", ask.max_tokens, beyond=k)
        say(f"asking {len(prompts)} prompts")
        traces = asyncio.run(_answers(server, prompts, replace(asked, beyond=0)))
        change = difference(before, settled_page(server))
        say("asking what lies behind the answers")
        traces = asyncio.run(_with_beyond(server, traces, asked))
    counted = acceptance.acceptance_by_position(change)
    with tempfile.TemporaryDirectory(prefix="kilotoken-live-") as folder:
        path = Path(folder) / "answers.jsonl"
        write_traces(path, traces)
        longest = config.model.max_model_len
        counts = replay_draft(path, traces, drafter, [k], longest, report=lambda *_: None)
    replayed = acceptance_of(counts[k], k)
    drafts = int(change.increase(names.DRAFTS))
    if drafts < LEAST_DRAFTS:
        raise ModelError(
            f"the server drafted {drafts} times; {LEAST_DRAFTS} are needed to judge acceptance by position.",
            hint="Ask more or other prompts, or longer answers (kilotoken draft check --prompts, --workload, --max-tokens).",
        )
    rows = [
        {"position": i + 1, "live": live, "replay": said, "difference": said - live}
        for i, (live, said) in enumerate(zip(counted, replayed.by_position, strict=True))
    ]
    return {
        "k": k, "workloads": list(ask.workloads), "answers": len(traces), "drafts": drafts,
        "drafts_replayed": replayed.drafts,
        "acceptance_length": acceptance.acceptance_length(change).value,
        "acceptance_length_replayed": replayed.acceptance_length.value,
        "positions": rows, "allowed": ALLOWED,
    }  # fmt: skip


def _prompts(name: str, ask: LiveAsk) -> Sequence[Prompt]:
    """Prompts held out or to measure with, to be answered greedily whatever they ask for themselves."""
    workload = load_workload(name, seed=ask.seed)
    chosen = [*workload.of(Split.HELD_OUT), *workload.of(Split.MEASURED)][: ask.prompts]
    if workload.synthetic or not chosen or any(prompt.token_ids for prompt in chosen):
        raise ConfigError(
            f"workload {name} cannot check a draft: it needs texts, held out or to measure with.",
            hint="Take a built-in workload, such as chat or copy.",
        )
    return [replace(prompt, sampling=None) for prompt in chosen]


async def _answers(server: ServerUnderTest, prompts: Sequence[Prompt], ask: CollectAsk) -> list[Trace]:
    """In the order of the prompts; a prompt that the server refuses is left out.

    Raises:
        ServerError: if it does not answer as vLLM does, or refuses every prompt.
    """
    found: dict[str, Trace] = {}
    refused: list[str] = []

    async def one(http: httpx.AsyncClient, prompt: Prompt) -> None:
        try:
            found[prompt.prompt_id] = await collected(http, prompt, ask)
        except ItemFailedError as failure:
            refused.append(str(failure))
        except (ServerGoneError, NoTokenIdsError) as failure:
            raise ServerError(f"{server.base_url}: {failure}.") from failure

    await ask_each(server, prompts, one, concurrency=STREAMS)
    if not found:
        raise ServerError(f"{server.base_url} refused every prompt: {refused[0]}.")
    return [found[prompt.prompt_id] for prompt in prompts if prompt.prompt_id in found]


async def _with_beyond(server: ServerUnderTest, traces: Sequence[Trace], ask: CollectAsk) -> list[Trace]:
    behind: dict[str, Any] = {}

    async def one(http: httpx.AsyncClient, trace: Trace) -> None:
        try:
            behind[trace.id] = await said_beyond(http, ask, trace.prompt_token_ids + trace.output_token_ids)
        except (ServerGoneError, NoTokenIdsError) as failure:
            raise ServerError(f"{server.base_url}: {failure}.") from failure

    await ask_each(server, traces, one, concurrency=STREAMS)
    return [msgspec.structs.replace(trace, beyond_token_ids=behind[trace.id]) for trace in traces]
