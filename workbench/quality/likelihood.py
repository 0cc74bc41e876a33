"""How likely the served model holds an item's reference answer, token by token: what sees a change of numerics.

vLLM's `/tokenize` gives the ids of the question (through the chat template) and of the reference;
`/v1/completions` with these ids as prompt and `prompt_logprobs: 0` gives each prompt token's own log-probability.
Run on vLLM 0.32: a list as long as the prompt, the first entry null, each other {"<id>": {"logprob": ...}}.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

import httpx

from workbench.quality.asking import ItemFailedError, chat_messages, post
from workbench.quality.items import QualityItem

_LEAST_LOGPROB = -9999.0  # what vLLM writes for minus infinity


class NotOfferedError(Exception):
    """This server cannot say likelihoods at all; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class ReferenceLikelihood:
    """Sum of -ln p over the reference's tokens, in nats; `token_digest` is equal for equal question and tokens."""

    nats: float
    tokens: int
    token_digest: str


async def reference_likelihood(http: httpx.AsyncClient, model: str, item: QualityItem) -> ReferenceLikelihood:
    """Measure one item.

    Raises:
        NotOfferedError: if the server lacks what it takes.
        ItemFailedError: if this item fails.
        ServerGoneError: if the server cannot be reached.
    """
    question: dict[str, Any] = (
        {"messages": chat_messages(item), "add_generation_prompt": True}
        if item.messages
        else {"prompt": item.prompt}
    )
    context = await _token_ids(http, question | {"model": model})
    reference = await _token_ids(
        http, {"prompt": item.reference, "add_special_tokens": False, "model": model}
    )
    asked = {
        "model": model,
        "prompt": context + reference,
        "max_tokens": 1,
        "temperature": 0,
        "prompt_logprobs": 0,
    }
    body = await post(http, "/v1/completions", asked)
    nats = _nats(body, context, reference)
    digest = hashlib.sha256(json.dumps([context, reference]).encode()).hexdigest()[:16]
    return ReferenceLikelihood(nats, len(reference), digest)


async def _token_ids(http: httpx.AsyncClient, asked: dict[str, Any]) -> list[int]:
    try:
        tokens = (await post(http, "/tokenize", asked)).get("tokens")
    except ItemFailedError as failure:
        if str(failure).startswith(("HTTP 404", "HTTP 405", "HTTP 501")):
            raise NotOfferedError("the server has no /tokenize") from failure
        raise
    if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
        raise NotOfferedError("the server's /tokenize gives no list of token ids")
    if not tokens:
        raise ItemFailedError("/tokenize found no token in the text")
    return tokens


def _nats(body: dict[str, Any], context: list[int], reference: list[int]) -> float:
    try:
        entries = body["choices"][0]["prompt_logprobs"]
    except (KeyError, IndexError, TypeError):
        entries = None
    if not isinstance(entries, list):
        raise NotOfferedError("the server gives no prompt_logprobs")
    if len(entries) != len(context) + len(reference):
        raise ItemFailedError(
            f"{len(entries)} prompt_logprobs came back for {len(context) + len(reference)} tokens"
        )
    nats = 0.0
    for token, entry in zip(reference, entries[len(context) :], strict=True):
        try:
            logprob = float(entry[str(token)]["logprob"])
        except (KeyError, TypeError, ValueError):
            raise ItemFailedError(f"the prompt_logprobs do not hold token {token}") from None
        if not math.isfinite(logprob) or logprob <= _LEAST_LOGPROB or logprob > 0:
            raise ItemFailedError(f"a reference token has the log-probability {logprob:g}")
        nats -= logprob
    return nats
