"""The body of a generation request: what is asked, how tokens are picked, how long the answer may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from accounting.errors import ConfigError
from loadtest.config import LoadSpec
from loadtest.workloads.prompt import Message, Prompt, Sampling

PATHS = {"chat": "/v1/chat/completions", "completions": "/v1/completions"}
_encode = msgspec.json.Encoder().encode


def request_body(
    spec: LoadSpec,
    prompt: Prompt,
    *,
    max_tokens: int,
    exactly: bool,
    return_token_ids: bool = False,
    said: Sequence[Message] = (),
) -> bytes:
    """JSON body: streaming, usage at the end and (`vllm_extensions`) with every event.

    `exactly` asks for max_tokens tokens whatever the model wants (`ignore_eos`). `said` is the conversation
    after the prompt's own messages. `ignore_eos`, `return_token_ids`, `cache_salt` and the running usage are
    vLLM's extensions, sent only where they are understood, so that the plain request fits any server.

    Raises:
        ConfigError: if the prompt does not fit the endpoint.
    """
    body = {"model": spec.model, **prompt_fields(spec.endpoint, prompt, said), "max_tokens": max_tokens}
    body |= sampling_fields(spec.sampling, prompt.sampling)
    options = {"include_usage": True} | ({"continuous_usage_stats": True} if spec.vllm_extensions else {})
    body |= {"stream": True, "stream_options": options}
    if spec.vllm_extensions:
        if exactly:
            body["ignore_eos"] = True
        if return_token_ids:
            body["return_token_ids"] = True
        if spec.cache_salt:
            body["cache_salt"] = spec.cache_salt
    return _encode(body)


def prompt_fields(endpoint: str, prompt: Prompt, said: Sequence[Message] = ()) -> dict[str, Any]:
    """What is asked, as the endpoint takes it; `said` is the conversation after the prompt's own messages.

    Raises:
        ConfigError: if the prompt does not fit the endpoint.
    """
    messages = [*prompt.messages, *said]
    if endpoint == "chat":
        if prompt.token_ids is not None:
            raise ConfigError(
                f"workload {prompt.workload}: its prompts are exact tokens, which /v1/chat/completions does not take.",
                hint="Use the completions endpoint (`--endpoint completions`).",
            )
        return {"messages": [{"role": m.role, "content": m.content} for m in messages]}
    if prompt.token_ids is not None:
        return {"prompt": list(prompt.token_ids)}
    # A plain completion knows no roles: what was said stands one below the other.
    return {"prompt": "\n\n".join(m.content for m in messages)}


def sampling_fields(*layers: Sampling | None) -> dict[str, Any]:
    """How tokens are picked: greedy, over it each layer's settings, the last one's above all."""
    fields: dict[str, Any] = {"temperature": 0.0}
    for layer in layers:
        fields |= {} if layer is None else msgspec.to_builtins(layer)
    return fields
