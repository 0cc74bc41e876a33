"""What has been seen of one answer so far: text, tokens, stamps, and how it ended."""

from __future__ import annotations

import hashlib

import msgspec
import numpy as np

from accounting.records import Chunks, Outcome
from loadtest.receive_clock import USER
from loadtest.stream_event import DONE, decode_event

ERROR_BYTES = 2000


class Answer:
    """Takes events in order of arrival. One event carries tokens if it has text or its `usage` went up."""

    def __init__(self, *, keep_text: bool = False) -> None:
        self.clock = USER
        self.sent_s: float | None = None
        self.last_read_s: float | None = None
        self.status: int | None = None
        self.outcome: Outcome | None = None
        self.error = ""
        self.finish_reason: str | None = None
        self.prompt_tokens: int | None = None
        self.completion_tokens: int | None = None
        self.token_ids: int | None = None
        self.first_text_s: float | None = None
        self.first_text_censored = False
        self.done = False
        self.unstamped_reads = 0
        self.retry_after_s: float | None = None
        self._keep_text = keep_text
        self._content: list[str] = []
        self._text: list[str] = []
        self._known_tokens = 0
        self._at_s: list[float] = []
        self._tokens: list[int] = []
        self._censored: list[bool] = []
        self._lag_s: list[float] = []

    def fail(self, outcome: Outcome, error: str) -> None:
        """Keep the first failure: later ones are its consequences."""
        if self.outcome is None:
            self.outcome = outcome
            self.error = error[:ERROR_BYTES]

    def take(self, data: bytes, at_s: float, lag_s: float, censored: bool) -> None:
        """Account for one event: text, tokens, finish, usage, error. `lag_s` is NaN where it is unknown."""
        if self.done or data == DONE:
            self.done = True  # whatever follows is no part of the answer
            return
        try:
            event = decode_event(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self.fail(Outcome.GARBAGE, f"an event is not the expected JSON ({error}): {data[:200]!r}")
            return
        if event.error is not None:
            self.fail(Outcome.STREAM_ERROR, msgspec.json.encode(event.error).decode())
            return
        known = self._known_tokens
        if (usage := event.usage) is not None:
            self.prompt_tokens = usage.prompt_tokens
            self.completion_tokens = usage.completion_tokens
            self._known_tokens = usage.completion_tokens or 0
        if not event.choices:
            return
        text = ""
        for choice in event.choices:
            text += choice.all_text
            if choice.finish_reason is not None:
                self.finish_reason = choice.finish_reason
            if choice.token_ids is not None:
                self.token_ids = (self.token_ids or 0) + len(choice.token_ids)
            if self._keep_text:
                self._content.append(choice.content)
        if text:
            self._text.append(text)
            if self.first_text_s is None:
                self.first_text_s, self.first_text_censored = at_s, censored
        if text or self._known_tokens > known:
            self._at_s.append(at_s)
            self._tokens.append(-1 if usage is None else self._known_tokens)
            self._censored.append(censored)
            self._lag_s.append(lag_s)

    @property
    def content(self) -> str:
        """The answer without its reasoning, as the next turn of a conversation quotes it; kept only when asked for."""
        return "".join(self._content)

    def chunks(self) -> Chunks:
        """The events that carried tokens, as columns."""
        return Chunks(
            np.array(self._at_s, dtype=np.float64),
            np.array(self._tokens, dtype=np.int64),
            np.array(self._censored, dtype=np.bool_),
            np.array(self._lag_s, dtype=np.float32),
        )

    def text_sha256(self) -> str:
        """Hash of all text, reasoning included."""
        return hashlib.sha256("".join(self._text).encode("utf-8", "surrogatepass")).hexdigest()
