"""Items put to a server, so many at a time, and one item's greedy answer. Every way to fail ends as one sentence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from workbench.quality.items import QualityItem
from workbench.server_under_test import ServerUnderTest

REQUEST_TIMEOUT_S = 300.0
Asked = TypeVar("Asked")


class ItemFailedError(Exception):
    """This item has no answer, for the reason in the message; the others may have."""


class ServerGoneError(Exception):
    """The connection failed: the item is not to blame."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model wrote, and whether the limit of tokens cut it off."""

    text: str
    cut_off: bool


async def ask_each(
    server: ServerUnderTest,
    items: Iterable[Asked],
    ask: Callable[[httpx.AsyncClient, Asked], Awaitable[None]],
    *,
    concurrency: int,
) -> None:
    """Call `ask` for every item in order, `concurrency` at a time.

    Raises:
        Exception: the first that `ask` raises; the others are cancelled then.
    """
    headers = {"authorization": f"Bearer {server.api_key}"} if server.api_key else {}
    limits = httpx.Limits(max_connections=concurrency)
    async with httpx.AsyncClient(
        base_url=server.base_url, timeout=REQUEST_TIMEOUT_S, headers=headers, limits=limits, trust_env=False
    ) as http:
        waiting = iter(items)
        workers = [asyncio.create_task(_ask_waiting(http, waiting, ask)) for _ in range(concurrency)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)


async def _ask_waiting(
    http: httpx.AsyncClient,
    waiting: Iterator[Asked],
    ask: Callable[[httpx.AsyncClient, Asked], Awaitable[None]],
) -> None:
    for item in waiting:  # shared: each worker takes the next one
        await ask(http, item)


async def answer_of(http: httpx.AsyncClient, model: str, item: QualityItem) -> Answer:
    """The greedy answer to one item.

    Raises:
        ItemFailedError: if the server refuses, takes too long, or answers something else.
        ServerGoneError: if it cannot be reached.
    """
    asked: dict[str, Any] = {"model": model, "max_tokens": item.max_tokens, "temperature": 0}
    if item.messages:
        path = "/v1/chat/completions"
        asked["messages"] = chat_messages(item)
    else:
        path = "/v1/completions"
        asked |= {"prompt": item.prompt, "stop": list(item.stop)}
    body = await post(http, path, asked)
    try:
        choice = body["choices"][0]
        text = choice["message"]["content"] if item.messages else choice["text"]
        reason = choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise ItemFailedError(f"{path} answered without a choice of text") from None
    if text is not None and not isinstance(text, str):
        raise ItemFailedError(f"{path} answered {type(text).__name__} where a text is expected")
    return Answer(text or "", reason == "length")


def chat_messages(item: QualityItem) -> list[dict[str, str]]:
    """The item's chat as OpenAI's interface takes it."""
    return [{"role": role, "content": content} for role, content in item.messages]


async def post(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send a JSON object and get one.

    Raises:
        ItemFailedError: with `HTTP <status>` at the front of its message for a status other than 200.
        ServerGoneError: if the connection fails.
    """
    try:
        response = await http.post(path, json=body)
    except httpx.TimeoutException:
        raise ItemFailedError(f"{path} gave no answer within {REQUEST_TIMEOUT_S:g} s") from None
    except httpx.TransportError as error:
        raise ServerGoneError(f"{path}: {error or type(error).__name__}") from error
    except (httpx.HTTPError, UnicodeError) as error:
        raise ItemFailedError(f"{path}: {error}") from error
    if response.status_code != httpx.codes.OK:
        raise ItemFailedError(f"HTTP {response.status_code} from {path}: {_said(response)}")
    try:
        answered = response.json()
    except (ValueError, RecursionError):
        raise ItemFailedError(f"{path} answered something that is not JSON") from None
    if not isinstance(answered, dict):
        raise ItemFailedError(f"{path} answered {type(answered).__name__} where an object is expected")
    return answered


def _said(response: httpx.Response) -> str:
    """The server's own words about an error, shortened."""
    try:
        message = response.json()["error"]["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        message = response.text
    return " ".join(str(message).split())[:200]
