"""One prompt answered greedily, as what losslessness compares: token ids, and per position the likeliest others.

vLLM's request fields, run on 0.32: `return_token_ids` gives the ids, `return_tokens_as_token_ids` names the tokens in
`logprobs` by id (texts of tokens are not unique), `cache_salt` keeps one pass from reading what another computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from accounting.greedy_texts import GreedyText
from loadtest.workloads import Prompt
from workbench.quality.asking import ItemFailedError, post

LISTED_TOKENS = 5
"""Of a near-tie of three, the top two alone would not show the third."""
_ID_PREFIX = "token_id:"


@dataclass(frozen=True, slots=True)
class GreedyAsk:
    """How every prompt of a pass is asked: tokens of an answer, whether it may end itself, and the pass's cache salt."""

    model: str
    max_tokens: int
    ignore_eos: bool
    cache_salt: str


@dataclass(frozen=True, slots=True)
class GreedyAnswer:
    """The answer as tokens and as `written`, and the tokens that the server made of the prompt."""

    text: GreedyText
    prompt_token_ids: tuple[int, ...]
    written: str


async def greedy_answer(http: httpx.AsyncClient, prompt: Prompt, ask: GreedyAsk) -> GreedyAnswer:
    """Ask for one answer, whole. Only the prompt's own messages are sent, not a session's further turns.

    Raises:
        ItemFailedError: if the server refuses, takes too long, or does not say ids and log-probabilities.
        ServerGoneError: if it cannot be reached.
    """
    path, body = _request(prompt, ask)
    answered = await post(http, path, body)
    try:
        choice = answered["choices"][0]
        token_ids, logprobs = choice["token_ids"], choice["logprobs"]
        prompt_ids = choice.get("prompt_token_ids") or answered.get("prompt_token_ids")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise ItemFailedError(f"{path} gives no token ids, although return_token_ids was asked for") from None
    if not token_ids or not prompt_ids:
        raise ItemFailedError(f"{path} gives no token ids, although return_token_ids was asked for")
    try:
        listed = _listed(logprobs)
        others = tuple(_others(token, entry) for token, entry in zip(token_ids, listed, strict=True))
        return GreedyAnswer(GreedyText(tuple(token_ids), others), tuple(prompt_ids), _written(choice))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ItemFailedError(
            f"{path} gives no log-probabilities of the {LISTED_TOKENS} likeliest tokens by id ({error})"
        ) from error


def _written(choice: dict[str, Any]) -> str:
    """The answer as text, for the reader of a file; empty where the server gives none (a reasoning part alone)."""
    message = choice.get("message")
    said = message.get("content") if isinstance(message, dict) else choice.get("text")
    return said if isinstance(said, str) else ""


def _request(prompt: Prompt, ask: GreedyAsk) -> tuple[str, dict[str, Any]]:
    body: dict[str, Any] = {
        "model": ask.model,
        "max_tokens": ask.max_tokens,
        "temperature": 0,
        "ignore_eos": ask.ignore_eos,
        "return_token_ids": True,
        "return_tokens_as_token_ids": True,
        "cache_salt": ask.cache_salt,
    }
    if prompt.token_ids is not None:
        return "/v1/completions", body | {"prompt": list(prompt.token_ids), "logprobs": LISTED_TOKENS}
    messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
    chat = {"messages": messages, "logprobs": True, "top_logprobs": LISTED_TOKENS}
    return "/v1/chat/completions", body | chat


def _listed(logprobs: dict[str, Any]) -> list[dict[int, float]]:
    """Per position token id -> log-probability in nats, out of either shape."""
    if "content" in logprobs:
        return [
            {
                _id_of(entry["token"]): float(entry["logprob"])
                for entry in [position, *position["top_logprobs"]]
            }
            for position in logprobs["content"]
        ]
    return [
        {_id_of(name): float(logprob) for name, logprob in position.items()}
        for position in logprobs["top_logprobs"]
    ]


def _id_of(name: str) -> int:
    if not name.startswith(_ID_PREFIX):
        raise ValueError(f"a token is named {name[:40]!r}, not {_ID_PREFIX}<id>")
    return int(name.removeprefix(_ID_PREFIX))


def _others(token: int, listed: dict[int, float]) -> tuple[tuple[int, float], ...]:
    """The other tokens with their gaps, the likeliest first."""
    if token not in listed:
        raise ValueError(f"token {token} is not among those listed at its position")
    gaps = [(other, listed[token] - logprob) for other, logprob in listed.items() if other != token]
    return tuple(sorted(gaps, key=lambda entry: (entry[1], entry[0])))
