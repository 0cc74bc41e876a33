"""What `kilotoken collect` does: ask a served target every chosen prompt once, keep the answers as traces, sum up."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec

from accounting.errors import ConfigError, Interrupted, ServerError
from loadtest.workloads import Workload, load_workload
from workbench import line_journal
from workbench.collect_asking import CollectAsk, NoTokenIdsError, collected, is_greedy
from workbench.collect_files import DOCUMENT, JOURNAL, Collected, check_same, write_parts
from workbench.collect_prompts import Chosen, SidedPrompt, choose
from workbench.collect_temperatures import GREEDY, TemperatureMix, by_turns, with_temperatures
from workbench.experiment import AttachSection, validated
from workbench.losslessness_subjects import facts_of, is_said_to_speculate, speculation_of
from workbench.provenance import collect_provenance
from workbench.quality.asking import ItemFailedError, ServerGoneError, ask_each
from workbench.run_directory import write_json
from workbench.server_under_test import ServerUnderTest, attached_server

Document = dict[str, Any]
Say = Callable[[str], None]
FORMAT = "kilotoken-collect/1"
GIVE_UP_AFTER = 20
"""Failures in a row after which the rest is not tried: it is the server, or how it is asked."""
_NEEDS_VLLM = "Traces are token ids, as vLLM returns them (`return_token_ids`): collect from a vLLM server."


@dataclass(frozen=True, slots=True)
class CollectRequest:
    """What is asked of whom; `count` is per workload, `beyond` in tokens behind each answer's end.

    `stop_after_s`: seconds of asking after which nothing new is asked; None asks everything.
    """

    url: str
    workloads: tuple[str, ...]
    max_tokens: int
    count: int | None
    concurrency: int
    seed: int
    endpoint: str
    heldout_share: float
    beyond: int
    model: str | None = None
    api_key_env: str | None = None
    temperatures: TemperatureMix = GREEDY
    stop_after_s: float | None = None


def collect(request: CollectRequest, *, out: Path, argv: Sequence[str], say: Say) -> Document:
    """Ask what `out` has no answer to yet; its files and the document are then complete.

    Raises:
        ConfigError: for options, workloads or a model that cannot be used, before anything is asked.
        RunError: if `out` was begun otherwise, or another process works there.
        ServerError: if the server says no token ids, is gone, fails again and again, or answered nothing at all.
        Interrupted: if the user asked to stop.
    """
    say("reading the workloads")
    workloads = [load_workload(name, seed=request.seed) for name in request.workloads]
    chosen = choose(workloads, count=request.count, heldout_share=request.heldout_share)
    chosen = with_temperatures(chosen, request.temperatures, seed=request.seed)
    section = {"url": request.url, "model": request.model, "api_key_env": request.api_key_env}
    attach = validated(AttachSection, {key: value for key, value in section.items() if value}, origin="--url")
    with attached_server(attach) as server:
        if not server.is_vllm:
            raise ServerError(f"{server.base_url} is no vLLM server.", hint=_NEEDS_VLLM)
        if not request.temperatures.is_greedy and is_said_to_speculate(speculation_of(server)):
            raise ConfigError(
                f"{server.base_url} speculates, and sampled answers are to be the target's own.",
                hint="Collect from the target alone, or greedily (no --temperature-mix). vLLM 0.32's CPU build corrupts "
                "sampled answers where it speculates.",
            )
        header = _header(request, workloads, server)
        refuse = partial(check_same, out, header)
        with line_journal.opened(
            out / JOURNAL, header, check_other=refuse, hint="Choose another --out."
        ) as journal:
            kept = Collected.of(journal)
            kept.add({"start": _start(server, argv)})
            waiting = [sided for sided in chosen.prompts if sided.prompt.prompt_id not in kept.traces]
            _ask_all(request, server, waiting, kept, len(chosen.prompts), say)
            return _written(out, header, chosen, kept)


def _header(request: CollectRequest, workloads: Sequence[Workload], server: ServerUnderTest) -> Document:
    """What must be equal for answers to stand in one collection. More prompts may be asked for later, at any pace."""
    return {
        "format": FORMAT,
        "model": server.model_name,
        "endpoint": request.endpoint,
        "max_tokens": request.max_tokens,
        "beyond": request.beyond,
        "seed": request.seed,
        "heldout_share": request.heldout_share,
        "workloads": [{"name": workload.name, "source": workload.source} for workload in workloads],
        # Not of greedy collections, so that those begun before there were mixes go on.
        **({} if request.temperatures.is_greedy else {"temperatures": str(request.temperatures)}),
    }


def _start(server: ServerUnderTest, argv: Sequence[str]) -> Document:
    said = {"url": server.base_url, "version": server.version, "speculation": speculation_of(server)}
    provenance = collect_provenance(argv)
    known = {key: provenance[key] for key in ("started_at", "command", "versions", "git", "hardware")}
    return known | {"server": said | facts_of(server)}


def _ask_all(
    request: CollectRequest,
    server: ServerUnderTest,
    waiting: Sequence[SidedPrompt],
    kept: Collected,
    total: int,
    say: Say,
) -> None:
    ask = CollectAsk(server.model_name, request.endpoint, request.max_tokens, request.beyond)
    in_a_row = 0
    until_s = None if request.stop_after_s is None else time.monotonic() + request.stop_after_s

    async def ask_one(http: httpx.AsyncClient, sided: SidedPrompt) -> None:
        nonlocal in_a_row
        prompt = sided.prompt
        if until_s is not None and time.monotonic() >= until_s:
            return
        try:
            trace = await collected(http, prompt, ask)
        except ItemFailedError as failure:
            kept.add({"failed": prompt.prompt_id, "reason": str(failure)})
            in_a_row += 1
            if in_a_row >= GIVE_UP_AFTER:
                raise ServerError(
                    f"{server.base_url}: {in_a_row} requests in a row failed, the last one so: {failure}.",
                    hint=_kept(kept),
                ) from failure
        except ServerGoneError as gone:
            raise ServerError(f"{server.base_url} cannot be reached: {gone}.", hint=_kept(kept)) from gone
        except NoTokenIdsError as missing:
            raise ServerError(f"{server.base_url}: {missing}.", hint=_NEEDS_VLLM) from missing
        else:
            kept.add({"trace": msgspec.to_builtins(trace)})
            in_a_row = 0
        say(f"asking: {len(kept.traces) + len(kept.failures)} of {total} prompts")

    try:
        asyncio.run(ask_each(server, by_turns(waiting), ask_one, concurrency=request.concurrency))
    except KeyboardInterrupt:
        raise Interrupted("stopped as you asked.", hint=_kept(kept)) from None


def _kept(kept: Collected) -> str:
    return f"{len(kept.traces)} answers are kept; the same command goes on."


def _written(out: Path, header: Document, chosen: Chosen, kept: Collected) -> Document:
    if not kept.traces:
        reason = next(iter(kept.failures.values()), "")
        raise ServerError(f"no prompt was answered: {reason}.", hint="The same command tries again.")
    parts, repeated = write_parts(out, chosen, kept.traces)
    document = header | {
        "sampling": _sampling(header.get("temperatures")),
        "divisions": list(chosen.divisions),
        "summary": _summary(header, chosen, kept) | {"repeated_prompt_tokens": repeated},
        "parts": parts,
        "starts": list(kept.starts),
    }
    write_json(out / DOCUMENT, document)
    return document


def _sampling(mix: str | None) -> str:
    if mix is None:
        return "greedy, but for prompts that say otherwise"
    return f"training answers at temperature:share {mix}, held-out ones greedy, but for prompts that say otherwise"


def _summary(header: Document, chosen: Chosen, kept: Collected) -> Document:
    prompts = {sided.prompt.prompt_id: sided.prompt for sided in chosen.prompts}
    answers = [trace for trace in kept.traces.values() if trace.id in prompts]
    reasons = Counter(reason for prompt, reason in kept.failures.items() if prompt in prompts)
    greedy = [trace for trace in answers if is_greedy(prompts[trace.id])]
    return {
        "prompts": len(prompts),
        "answered": len(answers),
        "failed": dict(reasons.most_common()),
        "repeated_requests": chosen.repeated,
        "not_greedy": len(answers) - len(greedy),
        "turns_not_asked": sum(len(prompt.turns) for prompt in prompts.values()),
        "end_not_known": sum(not trace.beyond_token_ids for trace in greedy) if header["beyond"] else None,
    }
