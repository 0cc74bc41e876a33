"""The suffix drafter of vLLM 0.32 (v1/spec_decode/suffix_decoding.py), on arctic-inference's own cache.

The cache grows from answer to answer, in the order of the traces, and with the answer itself, as in a server that
has one request at a time. A server with many at once feeds it in another order.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from accounting.errors import MachineError


@dataclass(frozen=True, slots=True)
class SuffixSettings:
    """vLLM's suffix_decoding_* settings, with its defaults."""

    k: int = 24
    max_tree_depth: int = 24
    max_cached_requests: int = 10000
    max_spec_factor: float = 1.0
    min_token_prob: float = 0.1
    max_model_len: int | None = None


def suffix_cache(settings: SuffixSettings) -> Any:
    """A cache that knows nothing yet.

    Raises:
        MachineError: if arctic-inference is not installed or cannot be loaded.
    """
    try:
        module = importlib.import_module("arctic_inference.suffix_decoding")
    except ImportError as error:
        raise MachineError(
            f"suffix needs the package arctic-inference, which cannot be imported here: {error}.",
            hint="`make setup` builds it where a C++ compiler is, or `pip install 'kilotoken[suffix]'`.",
        ) from error
    return module.SuffixDecodingCache(
        max_tree_depth=settings.max_tree_depth, max_cached_requests=settings.max_cached_requests
    )


@dataclass(slots=True)
class SuffixDrafter:
    """Drafts for one answer; `close` it after the last. `tokens` go on behind the answer as far as they are known."""

    cache: Any
    settings: SuffixSettings
    request_id: str
    tokens: list[int]
    prompt_tokens: int
    _array: Any = field(init=False)
    _told: int = field(init=False)

    def __post_init__(self) -> None:
        """Start the request: the prompt's tree is built."""
        self._array = np.asarray(self.tokens, dtype=np.int32)
        self._told = self.prompt_tokens
        self.cache.start_request(self.request_id, self._array[: self.prompt_tokens])

    def draft(self, position: int) -> list[int]:
        """Tell the cache what was said since, and ask it: as vLLM's proposer, in its order."""
        settings = self.settings
        longest = settings.k
        if settings.max_model_len is not None:
            if position >= settings.max_model_len:
                return []
            longest = min(longest, settings.max_model_len - position - 1)
        self._tell(position)
        if longest <= 0:
            return []
        pattern = self._array[max(0, position - settings.max_tree_depth) : position]
        drafted = self.cache.speculate(
            self.request_id,
            pattern,
            max_spec_tokens=longest,
            max_spec_factor=settings.max_spec_factor,
            min_token_prob=settings.min_token_prob,
        )
        return list(drafted.token_ids)

    def close(self, position: int) -> None:
        """The answer is whole, and `position` tokens were made.

        All of them are told, also what the last step made behind the answer's end: vLLM proposes once more before it
        stops, and its worker does not know where the answer will be cut. At the model's longest sequence it does not
        propose any more, and the last tokens stay untold.
        """
        longest = self.settings.max_model_len
        if longest is None or position < longest:
            self._tell(min(position, len(self.tokens)))
        self.cache.stop_request(self.request_id)

    def _tell(self, position: int) -> None:
        if position > self._told:
            self.cache.add_active_response(self.request_id, self._array[self._told : position])
            self._told = position
