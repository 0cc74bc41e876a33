"""What a completion request asks for: the two bodies read, checked as vLLM checks them, and made one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec

from serving.fake_server.answers import VOCABULARY_SIZE, chat_prompt, text_prompt
from serving.fake_server.refusals import RequestRefusedError, refused, unknown_model

MOST_STOPS = 4


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One answer to generate. `max_tokens` is the limit in force, never more than the context leaves."""

    chat: bool
    prompt: tuple[int, ...]
    max_tokens: int
    ignore_eos: bool
    stream: bool
    include_usage: bool
    continuous_usage: bool
    return_token_ids: bool
    cache_salt: str = ""
    prompt_logprobs: bool = False
    logprobs: int | None = None  # how many likeliest tokens to name per position; None: say nothing of them
    tokens_as_ids: bool = False
    wrong_token_one_in: int = 0  # the wrong_token fault; 0: never


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None


class _Body(msgspec.Struct, kw_only=True):
    """Fields that both paths share; what is not named here is accepted and has no effect."""

    model: str | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    ignore_eos: bool = False
    return_token_ids: bool | None = None
    stop: str | list[str] | None = None
    temperature: float | None = None
    seed: int | None = None
    cache_salt: str | None = None
    return_tokens_as_token_ids: bool | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | list[dict[str, object]] | None = None

    def text(self) -> str:
        """The message's words, whether given as one text or in parts."""
        if isinstance(self.content, list):
            return " ".join(str(part.get("text", "")) for part in self.content)
        return self.content or ""


class _ChatBody(_Body, kw_only=True):
    messages: list[_Message]
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class _TextBody(_Body, kw_only=True):
    prompt: str | list[int]
    prompt_logprobs: int | None = None
    logprobs: int | None = None


class _TokenizeBody(msgspec.Struct, kw_only=True):
    model: str | None = None
    prompt: str | None = None
    messages: list[_Message] | None = None
    add_special_tokens: bool | None = None


_AnyBody = TypeVar("_AnyBody", _ChatBody, _TextBody, _TokenizeBody)


def read_chat_request(raw: bytes, model: str, max_model_len: int) -> GenerationRequest:
    """The request in a /v1/chat/completions body; raises RequestRefusedError as vLLM would refuse it."""
    body = _decode(raw, _ChatBody)
    prompt = chat_prompt([(message.role, message.text()) for message in body.messages])
    asked = body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens
    request = _request(body, prompt, asked, model, max_model_len, chat=True)
    return replace(request, logprobs=(body.top_logprobs or 0) if body.logprobs else None)


def read_text_request(raw: bytes, model: str, max_model_len: int) -> GenerationRequest:
    """The request in a /v1/completions body; without `max_tokens` the answer has 16 tokens, as in vLLM."""
    body = _decode(raw, _TextBody)
    prompt = text_prompt(body.prompt) if isinstance(body.prompt, str) else tuple(body.prompt)
    if not prompt or not all(0 <= token < VOCABULARY_SIZE for token in prompt):
        raise refused(
            f"prompt must hold token ids from 0 to {VOCABULARY_SIZE - 1}, at least one", 400, param="prompt"
        )
    asked = body.max_tokens if body.max_tokens is not None else 16
    request = _request(body, prompt, asked, model, max_model_len, chat=False)
    return replace(request, prompt_logprobs=body.prompt_logprobs is not None, logprobs=body.logprobs)


def read_tokenize_request(raw: bytes, model: str) -> tuple[int, ...]:
    """The tokens that a /tokenize body asks for, of a chat (ready to be answered) or of a text."""
    body = _decode(raw, _TokenizeBody)
    if body.model and body.model != model:
        raise unknown_model(body.model, model)
    if body.messages is not None:
        return chat_prompt([(message.role, message.text()) for message in body.messages])
    if body.prompt is None:
        raise refused("Field required: prompt or messages.", 400, param="prompt")
    return text_prompt(body.prompt) if body.prompt.split() or body.add_special_tokens is not False else ()


def _request(
    body: _Body, prompt: tuple[int, ...], asked: int | None, model: str, max_model_len: int, *, chat: bool
) -> GenerationRequest:
    if body.model and body.model != model:
        raise unknown_model(body.model, model)
    if body.stream_options is not None and not body.stream:
        raise refused("Stream options can only be defined when `stream=True`.", 400, param="stream_options")
    if isinstance(body.stop, list) and len(body.stop) > MOST_STOPS:
        found = f"List should have at most {MOST_STOPS} items after validation, not {len(body.stop)}"
        raise _invalid({"type": "too_long", "loc": "body.stop", "msg": found}, "body.stop")
    if asked is not None and asked < 1:
        raise refused(f"max_tokens must be at least 1, got {asked}.", 400, param="max_tokens")
    room = max_model_len - len(prompt)
    if room < 1:
        raise refused(
            f"This model's maximum context length is {max_model_len} tokens. However, your prompt contains"
            f" {len(prompt)} input tokens, which exceeds this limit even without any output tokens. Please"
            " reduce the length of the input prompt.",
            400,
            param="input_tokens",
        )
    options = body.stream_options or _StreamOptions()
    return GenerationRequest(
        chat=chat,
        prompt=prompt,
        max_tokens=min(room, asked) if asked is not None else room,
        ignore_eos=body.ignore_eos,
        stream=bool(body.stream),
        include_usage=bool(options.include_usage),
        continuous_usage=bool(options.include_usage and options.continuous_usage_stats),
        return_token_ids=bool(body.return_token_ids),
        cache_salt=body.cache_salt or "",
        tokens_as_ids=bool(body.return_tokens_as_token_ids),
    )


def _decode(raw: bytes, kind: type[_AnyBody]) -> _AnyBody:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at ")
        param = "body" + where.strip("`").removeprefix("$")
        raise _invalid({"type": "value_error", "loc": param, "msg": message}, param) from error
    except msgspec.DecodeError as error:
        raise _not_json(raw) from error


def _not_json(raw: bytes) -> RequestRefusedError:
    try:
        json.loads(raw)
        reason, at = "unreadable", 0
    except json.JSONDecodeError as error:
        reason, at = error.msg, error.pos
    except UnicodeDecodeError as error:
        reason, at = error.reason, error.start
    found = {"type": "json_invalid", "loc": f"body.{at}", "msg": "JSON decode error", "input": {}}
    return _invalid({**found, "ctx": {"error": reason}}, f"body.{at}")


def _invalid(found: Mapping[str, object], param: str) -> RequestRefusedError:
    return refused(f"1 validation error:\n  {dict(found)}", 400, kind="Bad Request", param=param)
