"""A drafter that knows the answers, and errs as often as it is told: acceptance at will, without a good draft.

vLLM imports it in the server as `oracle_proposer.OracleProposer` (method `custom_class`); nothing else of kilotoken is there. It is
lossless: the target judges its drafts like any other's. KILOTOKEN_ORACLE_ANSWERS names a file of `kilotoken collect` (prompts and
answers as token ids), KILOTOKEN_ORACLE_ACCEPTANCE the share of drafted tokens that are the target's own: s_i is that share to
the power i, as long as the target says what it said then. A request whose prompt is not in the file gets no drafts.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

ANSWERS, ACCEPTANCE = "KILOTOKEN_ORACLE_ANSWERS", "KILOTOKEN_ORACLE_ACCEPTANCE"
Tokens = tuple[int, ...]


class KnownAnswers:
    """Answers by their whole prompt: the end of a prompt alone does not tell prompts of one template apart."""

    def __init__(self, pairs: Iterable[tuple[Tokens, Tokens]], acceptance: float) -> None:
        """`acceptance`: share of tokens that are handed out as they are; the others are made wrong, the same ones each time.

        Raises:
            ValueError: if it is no share, or there is no answer.
        """
        if not 0.0 <= acceptance <= 1.0:
            raise ValueError(f"{ACCEPTANCE} is {acceptance}; it must be a share from 0 to 1")
        self._drafts = {prompt: _spoilt(prompt, answer, acceptance) for prompt, answer in pairs}
        if not self._drafts:
            raise ValueError(f"{ANSWERS} names a file without answers")
        self._lengths = sorted({len(prompt) for prompt in self._drafts})
        self._by_slot: dict[int, Tokens] = {}

    def draft(self, slot: int, context: Sequence[int], k: int) -> list[int]:
        """What comes next; nothing for an unknown prompt or behind the answer's end.

        Args:
            slot: of the request in the server's batch: it is looked up anew only when another request has it.
            context: prompt and answer so far.
        """
        prompt = self._by_slot.get(slot)
        if prompt is None or tuple(context[: len(prompt)]) != prompt:
            prompt = self._found(context)
            if prompt is None:
                self._by_slot.pop(slot, None)
                return []
            self._by_slot[slot] = prompt
        said = len(context) - len(prompt)
        return list(self._drafts[prompt][said : said + k])

    def _found(self, context: Sequence[int]) -> Tokens | None:
        known = tuple(context)
        # The longest first: a prompt may begin with another one.
        for length in reversed(self._lengths):
            if length <= len(known) and known[:length] in self._drafts:
                return known[:length]
        return None


def _spoilt(prompt: Tokens, answer: Tokens, acceptance: float) -> Tokens:
    # Seeded by what is asked, so that every server life is told the same.
    draw = random.Random(f"{prompt}")
    return tuple(token if draw.random() < acceptance else token ^ 1 for token in answer)


def read_answers(path: Path) -> Iterator[tuple[Tokens, Tokens]]:
    """Prompts and answers of a traces file, with what the target says behind its end where that is known."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                trace = json.loads(line)
                beyond = trace.get("beyond_token_ids") or ()
                yield tuple(trace["prompt_token_ids"]), (*trace["output_token_ids"], *beyond)


class OracleProposer:
    """What vLLM's `custom_class` wants of a drafter."""

    def __init__(self, vllm_config: Any) -> None:
        self._k = int(vllm_config.speculative_config.num_speculative_tokens)
        self._known = KnownAnswers(
            read_answers(Path(os.environ[ANSWERS])), float(os.environ.get(ACCEPTANCE, "1"))
        )

    def load_model(self, *_args: Any, **_named: Any) -> None:
        """vLLM calls it on CPU for every drafter; there are no weights."""

    def propose(
        self,
        sampled_token_ids: Sequence[Sequence[int]],
        num_tokens_no_spec: Any,
        token_ids_cpu: Any,
        **_named: Any,
    ) -> list[list[int]]:
        """Drafts of each request; none for one that is still being prefilled (nothing was sampled)."""
        return [
            self._known.draft(slot, token_ids_cpu[slot, : int(num_tokens_no_spec[slot])].tolist(), self._k)
            if len(sampled)
            else []
            for slot, sampled in enumerate(sampled_token_ids)
        ]
