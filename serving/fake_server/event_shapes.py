"""The JSON that carries an answer, key for key as vLLM 0.32 writes it, streamed and whole.

vLLM writes null for `token_ids`, `prompt_token_ids` and `prompt_text` where they were not asked for, and
`stop_reason` only with the last tokens; a client has to cope with both, so they are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from serving.fake_server.answers import prompt_logprobs
from serving.fake_server.engine import Step
from serving.fake_server.request_body import GenerationRequest
from serving.fake_server.token_logprobs import answer_logprobs

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class AnswerShapes:
    """Writes one answer's events. `extra_tokens` is how much `usage` overstates (the wrong_usage fault)."""

    request: GenerationRequest
    answer_id: str
    created: int  # seconds since the epoch
    model: str
    fingerprint: str
    extra_tokens: int = 0
    seed: int = 0

    def first_events(self) -> list[Json]:
        """What goes before the first tokens: the role, for a chat."""
        if not self.request.chat:
            return []
        choice = {
            "index": 0,
            "delta": {"role": "assistant", "content": ""},
            "logprobs": None,
            "finish_reason": None,
        }
        event = self._event([choice])
        if self.request.continuous_usage:
            event["usage"] = self._usage(0)
        return [event | {"prompt_token_ids": self._asked(self.request.prompt), "prompt_text": None}]

    def step_event(self, step: Step) -> Json:
        """The event of one step's tokens."""
        choice = self._chat_choice(step) if self.request.chat else self._text_choice(step)
        event = self._event([choice])
        if self.request.continuous_usage:
            event["usage"] = self._usage(step.total_tokens)
        if step.finish_reason is not None and not self.request.include_usage:
            event["system_fingerprint"] = self.fingerprint
        return event

    def empty_event(self, total_tokens: int) -> Json:
        """An event without tokens, after so many of them."""
        content: Json = {"delta": {"content": ""}} if self.request.chat else {"text": ""}
        event = self._event([{"index": 0, **content, "logprobs": None, "finish_reason": None}])
        if self.request.continuous_usage:
            event["usage"] = self._usage(total_tokens)
        return event

    def last_events(self, total_tokens: int) -> list[Json]:
        """What goes between the last tokens and `[DONE]`: the usage, where asked for."""
        if not self.request.include_usage:
            return []
        return [
            self._event([]) | {"usage": self._usage(total_tokens), "system_fingerprint": self.fingerprint}
        ]

    def whole(self, steps: Sequence[Step]) -> Json:
        """The answer in one piece, for a request that does not stream."""
        text = "".join(step.text for step in steps)
        choice: Json = {"index": 0}
        if self.request.chat:
            empty = dict.fromkeys(("refusal", "annotations", "audio", "function_call", "reasoning"))
            choice["message"] = {"role": "assistant", "content": text, **empty}
        else:
            choice["text"] = text
        token_ids = [token for step in steps for token in step.token_ids]
        logprobs = answer_logprobs(self.request, self.seed, token_ids, 0)
        choice |= {"logprobs": logprobs, "finish_reason": steps[-1].finish_reason, "stop_reason": None}
        choice["token_ids"] = self._asked(token_ids)
        prompt_ids = self._asked(self.request.prompt)
        if not self.request.chat:
            choice |= {"prompt_logprobs": self._prompt_logprobs(), "prompt_token_ids": prompt_ids}
        details = {"prompt_tokens_details": None, "completion_tokens_details": None}
        answer = self._event([choice | {"routed_experts": None}])
        answer |= {
            "object": "chat.completion" if self.request.chat else "text_completion",
            "service_tier": None,
            "system_fingerprint": self.fingerprint,
            "usage": self._usage(steps[-1].total_tokens) | details,
        }
        if self.request.chat:
            answer |= {"prompt_logprobs": None, "prompt_token_ids": prompt_ids, "prompt_text": None}
        return answer | {"kv_transfer_params": None, "ec_transfer_params": None, "metrics": None}

    def _chat_choice(self, step: Step) -> Json:
        choice: Json = {
            "index": 0,
            "delta": {"content": step.text},
            "logprobs": self._logprobs(step),
            "finish_reason": step.finish_reason,
        }
        if step.finish_reason is not None:
            choice["stop_reason"] = None
        choice["token_ids"] = self._asked(step.token_ids)
        return choice

    def _text_choice(self, step: Step) -> Json:
        is_first = step.total_tokens == len(step.token_ids)
        return {
            "index": 0,
            "text": step.text,
            "logprobs": self._logprobs(step),
            "finish_reason": step.finish_reason,
            "stop_reason": None,
            "prompt_token_ids": self._asked(self.request.prompt) if is_first else None,
            "token_ids": self._asked(step.token_ids),
        }

    def _logprobs(self, step: Step) -> Json | None:
        before = step.total_tokens - len(step.token_ids)
        return answer_logprobs(self.request, self.seed, step.token_ids, before)

    def _prompt_logprobs(self) -> list[Json | None] | None:
        asked = self.request.prompt_logprobs
        return prompt_logprobs(self.request.prompt, self.model, self.seed) if asked else None

    def _asked(self, token_ids: Sequence[int]) -> Sequence[int] | None:
        return token_ids if self.request.return_token_ids else None

    def _event(self, choices: list[Json]) -> Json:
        return {
            "id": self.answer_id,
            "object": "chat.completion.chunk" if self.request.chat else "text_completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }

    def _usage(self, completion_tokens: int) -> Json:
        stated = max(0, completion_tokens + (self.extra_tokens if completion_tokens else 0))
        prompt_tokens = len(self.request.prompt)
        return {
            "prompt_tokens": prompt_tokens,
            "total_tokens": prompt_tokens + stated,
            "completion_tokens": stated,
        }
