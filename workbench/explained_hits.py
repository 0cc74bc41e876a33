"""How many prefix-cache hits a cell's own prompts can explain at most, from the tokens that the server makes of them.

Looked at only where something was hit, after the load, while the server is idle. A conversation's later turn may find all
that its earlier turn computed, prompt and answer: those lengths are in the records. Evaluation needs no server: what is
found here goes into cell.json.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from accounting.records import Outcome
from loadtest.config import LoadSpec
from loadtest.workloads import Prompt, load_workload
from loadtest.workloads.prefix_hits import implied_hit_share
from serving.endpoints import ServerEndpoints
from workbench.kv_blocks import KvBlocks

NO_TOKENS = "the server does not say which tokens a prompt has"
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class ExplainedHits:
    """`tokens` that can be hit at most, None where it is not known (`reason` says why).

    `prompt_tokens`: sum over the answered requests. `block_tokens` is 1 where the server does not say, or may hit
    parts of a block: no larger one finds more.
    """

    tokens: int | None
    prompt_tokens: int
    block_tokens: int
    reason: str = ""

    def plain(self) -> dict[str, Any]:
        """As cell.json keeps it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SentRequest:
    """What is needed of a request that was sent; tokens are None where the server stated none."""

    prompt_id: str
    turn: int
    conversation: tuple[str, int, int]
    ok: bool
    prompt_tokens: int | None
    completion_tokens: int | None


def explained_hits(spec: LoadSpec, requests: Path, kv: KvBlocks, endpoints: ServerEndpoints) -> ExplainedHits:
    """The most that the requests of this file can have hit in a cache that was empty when the first was sent."""
    sent = _sent(requests)
    block_tokens = kv.tokens if kv.tokens is not None and kv.hits_whole_blocks else 1
    answered = sum(r.prompt_tokens or 0 for r in sent if r.ok)
    wanted = {r.prompt_id for r in sent}
    workload = load_workload(spec.workload, seed=spec.workload_seed)
    prompts = [prompt for prompt in workload.prompts if prompt.prompt_id in wanted]
    exact = {prompt.prompt_id: prompt for prompt in _with_tokens(prompts, spec, endpoints)}
    if len(exact) < len(wanted):
        return ExplainedHits(None, answered, block_tokens, NO_TOKENS)
    if strange := _other_length(sent, exact):
        return ExplainedHits(None, answered, block_tokens, strange)
    later = _later_turns(sent, block_tokens)
    if later is None:
        return ExplainedHits(None, answered, block_tokens, "the length of a conversation is not known")
    first = most_hit_tokens([exact[r.prompt_id] for r in sent if r.turn == 0], block_tokens)
    return ExplainedHits(first + later, answered, block_tokens)


def most_hit_tokens(prompts: Sequence[Prompt], block_tokens: int) -> int:
    """The most tokens that these prompts, with token ids, can hit of each other in any order, without eviction.

    Every distinct block is computed once. A block that ends a prompt exactly is never hit by that prompt, so it costs no
    hit to let it compute the block: shorter prompts first is the best order.
    """
    ordered = sorted(prompts, key=lambda prompt: len(prompt.token_ids or ()))
    return implied_hit_share(ordered, block_tokens=block_tokens).hit_tokens


def _sent(requests: Path) -> list[SentRequest]:
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT prompt_id, turn, session, stream, prompt_repeat, outcome, prompt_tokens, completion_tokens "
            "FROM read_parquet(?) WHERE sent_s IS NOT NULL ORDER BY intended_send_s",
            [str(requests)],
        ).fetchall()
    return [
        SentRequest(prompt_id, turn, (session, stream, repeat), outcome == Outcome.OK, prompted, completed)
        for prompt_id, turn, session, stream, repeat, outcome, prompted, completed in rows
    ]


def _with_tokens(prompts: Sequence[Prompt], spec: LoadSpec, endpoints: ServerEndpoints) -> Iterable[Prompt]:
    """The prompts whose tokens are known, with them."""
    yield from (prompt for prompt in prompts if prompt.token_ids is not None)
    texts = [prompt for prompt in prompts if prompt.token_ids is None]
    if texts and endpoints.token_ids(_asked(spec, texts[0])) is None:
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda prompt: endpoints.token_ids(_asked(spec, prompt)), texts)
        for prompt, tokens in zip(texts, found, strict=True):
            if tokens is not None:
                yield replace(prompt, token_ids=tokens)


def _asked(spec: LoadSpec, prompt: Prompt) -> dict[str, Any]:
    """The input as a request sends it (`loadtest.request_body`)."""
    if spec.endpoint == "chat":
        messages = [{"role": m.role, "content": m.content} for m in prompt.messages]
        return {"model": spec.model, "messages": messages, "add_generation_prompt": True}
    return {"model": spec.model, "prompt": "\n\n".join(m.content for m in prompt.messages)}


def _other_length(sent: Sequence[SentRequest], exact: dict[str, Prompt]) -> str:
    """Why these tokens cannot be those that were asked: a first turn's usage states another number."""
    for request in sent:
        tokens = len(exact[request.prompt_id].token_ids or ())
        if request.ok and request.turn == 0 and request.prompt_tokens not in (None, tokens):
            return (
                f"the server's /tokenize makes {tokens} tokens of prompt {request.prompt_id}, its usage states "
                f"{request.prompt_tokens}"
            )
    return ""


def _later_turns(sent: Sequence[SentRequest], block_tokens: int) -> int | None:
    """The most that turns after the first can hit: what the turn before them computed. None if its length is unknown."""
    computed: dict[tuple[str, int, int], int | None] = {}
    hits = 0
    for request in sent:
        if request.turn > 0:
            before = computed.get(request.conversation)
            if before is None:
                return None
            own = before if request.prompt_tokens is None else request.prompt_tokens - 1
            hits += min(before, own) // block_tokens * block_tokens
        known = request.prompt_tokens is not None and request.completion_tokens is not None
        total = (request.prompt_tokens or 0) + (request.completion_tokens or 0)
        computed[request.conversation] = total if known else None
    return hits
