"""A drafter of one's own, as `method: custom_class` wants it: what followed the last tokens when they stood before.

vLLM imports it in the server by `repeating_proposer.RepeatingProposer`; nothing of vLLM is needed here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: Tokens that must stand there before, longest first.
MATCHES = (4, 3, 2, 1)


class RepeatingProposer:
    """Draft from the prompt and the answer so far."""

    def __init__(self, vllm_config: Any) -> None:
        self._drafted = vllm_config.speculative_config.num_speculative_tokens
        self._max_model_len = vllm_config.model_config.max_model_len

    def load_model(self, *_args: Any, **_named: Any) -> None:
        """vLLM calls it on CPU for every drafter; there are no weights."""

    def propose(
        self,
        sampled_token_ids: list[list[int]],
        num_tokens_no_spec: np.ndarray,
        token_ids_cpu: np.ndarray,
        **_named: Any,
    ) -> list[list[int]]:
        """One list of drafted token ids per request; empty where nothing was sampled or nothing repeats.

        `token_ids_cpu[i, :num_tokens_no_spec[i]]` are the prompt and the answer of request i, the tokens
        sampled in this step included.
        """
        return [
            self._draft(token_ids_cpu[i, : num_tokens_no_spec[i]]) if sampled else []
            for i, sampled in enumerate(sampled_token_ids)
        ]

    def _draft(self, tokens: np.ndarray) -> list[int]:
        room = min(self._drafted, self._max_model_len - len(tokens) - 1)
        for length in MATCHES if room > 0 else ():
            if len(tokens) <= length:
                continue
            windows = np.lib.stride_tricks.sliding_window_view(tokens[:-1], length)
            places = np.flatnonzero((windows == tokens[-length:]).all(axis=1))
            if len(places):
                after = int(places[-1]) + length
                return [int(token) for token in tokens[after : after + room]]
        return []
