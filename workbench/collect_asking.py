"""One prompt answered by the target, as token ids: the prompt's as the server saw it, the answer's, and what lies behind.

`return_token_ids` is vLLM's request field (run on 0.32). What the target would say behind an answer's end costs a second
request; replay needs it where a draft reaches over the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from drafts.replay.traces import Trace
from loadtest.request_body import PATHS, prompt_fields, sampling_fields
from loadtest.workloads import Prompt
from workbench.quality.asking import ItemFailedError, post

BROKEN_OFF = ("abort", "error")
_NOT_GREEDY = ("presence_penalty", "frequency_penalty", "repetition_penalty")


class NoTokenIdsError(Exception):
    """The server answers, and says no token ids: no prompt of it can be collected."""


@dataclass(frozen=True, slots=True)
class CollectAsk:
    """How every prompt is asked. `beyond` is in tokens behind the answer's end; 0 asks for none."""

    model: str
    endpoint: str
    max_tokens: int
    beyond: int


async def collected(http: httpx.AsyncClient, prompt: Prompt, ask: CollectAsk) -> Trace:
    """The answer to the prompt's first turn.

    Raises:
        ItemFailedError: if the server refuses, takes too long, breaks off, or says something else.
        ServerGoneError: if it cannot be reached.
        NoTokenIdsError: if it says no token ids.
    """
    body = {
        "model": ask.model,
        **prompt_fields(ask.endpoint, prompt),
        "max_tokens": min(ask.max_tokens, prompt.max_tokens or ask.max_tokens),
        "return_token_ids": True,
        **sampling_fields(prompt.sampling),
    }
    path = PATHS[ask.endpoint]
    prompt_ids, output_ids, reason = await _answer(http, path, body)
    said = {
        "id": prompt.prompt_id,
        "label": prompt.workload,
        "template": prompt.template,
        "prompt_token_ids": prompt_ids,
        "output_token_ids": output_ids,
        "model": ask.model,
        "finish_reason": reason,
        "temperature": sampling_fields(prompt.sampling)["temperature"],
    }
    try:
        trace = msgspec.convert(said, Trace)
        if not ask.beyond or not is_greedy(prompt):
            return trace
        beyond = await said_beyond(http, ask, trace.prompt_token_ids + trace.output_token_ids)
        return msgspec.convert(said | {"beyond_token_ids": beyond}, Trace)
    except msgspec.ValidationError as error:
        raise ItemFailedError(f"{path} answered no trace: {error}") from error


def is_greedy(prompt: Prompt) -> bool:
    """Whether the answer is the target's likeliest tokens: only then does replay say what a drafter would have got."""
    fields = sampling_fields(prompt.sampling)
    return not fields["temperature"] and not any(name in fields for name in _NOT_GREEDY)


async def _answer(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Token ids of prompt and answer, and why the answer ended, as the server says them."""
    answered = await post(http, path, body)
    try:
        choice = answered["choices"][0]
        reason = choice.get("finish_reason")
        output_ids = choice.get("token_ids")
        prompt_ids = choice.get("prompt_token_ids") or answered.get("prompt_token_ids")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise ItemFailedError(f"{path} answered without a choice") from None
    if reason in BROKEN_OFF:
        raise ItemFailedError(f"{path} broke the answer off ({reason})")
    if output_ids is None or not prompt_ids:
        raise NoTokenIdsError(f"{path} gives no token ids, although return_token_ids was asked for")
    return prompt_ids, output_ids, reason


async def said_beyond(http: httpx.AsyncClient, ask: CollectAsk, said: list[int]) -> Any:
    """What follows greedily, an end of text included; nothing where the model's length leaves no room for it."""
    body = {
        "model": ask.model,
        "prompt": said,
        "max_tokens": ask.beyond,
        "temperature": 0.0,
        "ignore_eos": True,
        "return_token_ids": True,
    }
    try:
        _, output_ids, _ = await _answer(http, PATHS["completions"], body)
    except ItemFailedError:
        return []
    return output_ids
