"""The shape of the events that answer a streamed request, chat or completion."""

from __future__ import annotations

from typing import Any

import msgspec

DONE = b"[DONE]"
_NO_CALLS = msgspec.Raw()


class Usage(msgspec.Struct, gc=False):
    """Token counts as the server states them."""

    prompt_tokens: int = 0
    completion_tokens: int | None = 0


class Delta(msgspec.Struct, gc=False):
    """New text of one chat event. Reasoning models send their reasoning beside the content."""

    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: msgspec.Raw = _NO_CALLS


class Choice(msgspec.Struct, gc=False):
    """One choice of an event: `delta` in a chat, `text` in a completion."""

    delta: Delta | None = None
    text: str | None = None
    finish_reason: str | None = None
    token_ids: list[int] | None = None

    @property
    def content(self) -> str:
        """The text without reasoning."""
        delta = self.delta
        return (self.text if delta is None else delta.content) or ""

    @property
    def all_text(self) -> str:
        """All text, reasoning and the arguments of tool calls included: their tokens are paid for too."""
        delta = self.delta
        if delta is None:
            return self.text or ""
        text = delta.content or ""
        if delta.reasoning_content or delta.reasoning:
            text = (delta.reasoning_content or delta.reasoning or "") + text
        if delta.tool_calls is not _NO_CALLS and (calls := bytes(delta.tool_calls)) not in (b"null", b"[]"):
            text += calls.decode("utf-8", "replace")
        return text


class Event(msgspec.Struct, gc=False):
    """One stream event."""

    choices: list[Choice] = []
    usage: Usage | None = None
    error: Any = None


decode_event = msgspec.json.Decoder(Event).decode
