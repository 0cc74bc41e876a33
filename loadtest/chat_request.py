"""The body of a chat completion request, and the shape of the events that answer it."""

from __future__ import annotations

from typing import Any

import msgspec

from loadtest.workloads.prompt import Prompt

PATH = "/v1/chat/completions"
DONE = b"[DONE]"


class Usage(msgspec.Struct):
    """Token counts as the server states them."""

    prompt_tokens: int = 0
    completion_tokens: int | None = 0


class Delta(msgspec.Struct):
    """New text of one event. Reasoning models send their reasoning beside the content."""

    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None

    @property
    def text(self) -> str:
        """All text of the event, reasoning included: its tokens are paid for too."""
        return (self.reasoning_content or self.reasoning or "") + (self.content or "")


class Choice(msgspec.Struct):
    """One choice of an event."""

    delta: Delta = msgspec.field(default_factory=Delta)
    finish_reason: str | None = None
    token_ids: list[int] | None = None


class Event(msgspec.Struct):
    """One stream event."""

    choices: list[Choice] = []
    usage: Usage | None = None
    error: Any = None


decode_event = msgspec.json.Decoder(Event).decode
_encode = msgspec.json.Encoder().encode


def request_body(
    prompt: Prompt,
    *,
    model: str,
    max_tokens: int,
    ignore_eos: bool,
    return_token_ids: bool,
    running_usage: bool = True,
    cache_salt: str = "",
) -> bytes:
    """JSON body: greedy, streaming, usage at the end and (`running_usage`) with every event.

    `ignore_eos`, `return_token_ids`, `cache_salt` and the running usage are vLLM's extensions and are sent only
    when asked for, so that the plain request fits any OpenAI-compatible server.
    """
    body: dict[str, object] = {
        "model": model,
        "messages": [{"role": m.role, "content": m.content} for m in prompt.messages],
        "max_tokens": min(max_tokens, prompt.max_tokens or max_tokens),
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True}
        | ({"continuous_usage_stats": True} if running_usage else {}),
    }
    if ignore_eos:
        body["ignore_eos"] = True
    if return_token_ids:
        body["return_token_ids"] = True
    if cache_salt:
        body["cache_salt"] = cache_salt
    return _encode(body)
