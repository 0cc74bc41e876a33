"""Requests that arrive, wait, are prefilled and decoded step by step, on an engine whose steps take what was fitted.

The engine is vLLM's scheduler in outline: sequences that decode come first, each with its drafts; what is left of a step's token
budget prefills waiting prompts in order of arrival, in parts if need be; the step ends for all of them together. A request is
admitted while there are seats and room for all its tokens in the KV cache, so that nothing is preempted. How many drafts a step keeps is drawn
from the survival of the request's class. Seconds are simulated; nothing is read or slept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accounting.planning.drafting_yield import OFF, DraftingYield, no_drafting
from accounting.planning.step_cost import StepCost, StepWork

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: its class, tokens of its prompt that are prefilled and that are cached, and of its answer."""

    label: str
    prefilled: int
    cached: int
    output: int

    @property
    def tokens(self) -> int:
        """Room that it takes in the KV cache at its end."""
        return self.prefilled + self.cached + self.output


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a server is told to serve.

    Attributes:
        drafting: yields by class, of the method and k that are used from 1 sequence up to `drafts_up_to`; empty: none.
        drafts_up_to: sequences in a step above which nothing is drafted (a schedule with one step); None: always.
        max_num_seqs, max_num_batched_tokens: as vLLM means them.
        kv_tokens: room in the KV cache.
    """

    drafting: Mapping[str, DraftingYield]
    drafts_up_to: int | None = None
    max_num_seqs: int
    max_num_batched_tokens: int
    kv_tokens: float


@dataclass(frozen=True, slots=True)
class Simulated:
    """Seconds of each request, in the order of arrival; `ended_s`: when the last step did."""

    arrived_s: Floats
    first_token_s: Floats
    last_token_s: Floats
    output_tokens: Floats
    ended_s: float

    @property
    def ttft_s(self) -> Floats:
        """From arrival to the first token."""
        return self.first_token_s - self.arrived_s

    @property
    def tpot_s(self) -> Floats:
        """Per token behind the first; NaN for answers of one."""
        behind = np.where(self.output_tokens > 1, self.output_tokens - 1, np.nan)
        per_token: Floats = (self.last_token_s - self.first_token_s) / behind
        return per_token


@dataclass(slots=True)
class _Running:
    number: int
    to_prefill: int
    context: int
    left: int
    drafting: DraftingYield


def simulate_open(
    arrivals_s: Sequence[float], asked: Sequence[Asked], policy: Policy, cost: StepCost, *, seed: int
) -> Simulated:
    """Requests that arrive at given seconds, each served to its end.

    Raises:
        ValueError: if there are not as many arrivals as requests, or one has no room even alone.
    """
    if len(arrivals_s) != len(asked) or list(arrivals_s) != sorted(arrivals_s):
        raise ValueError("an arrival for each request, in order")
    return _Engine(asked, policy, cost, seed).run(list(arrivals_s), closed=False)


def simulate_closed(
    streams: int, asked: Sequence[Asked], policy: Policy, cost: StepCost, *, seed: int
) -> Simulated:
    """So many streams, each of which asks again when it was answered, until all was asked.

    Raises:
        ValueError: without a stream, or if a request has no room even alone.
    """
    if streams < 1:
        raise ValueError("a closed loop has at least one stream")
    return _Engine(asked, policy, cost, seed).run([0.0] * min(streams, len(asked)), closed=True)


class _Engine:
    """One simulation: the queue, who runs, the clock."""

    def __init__(self, asked: Sequence[Asked], policy: Policy, cost: StepCost, seed: int) -> None:
        largest = max((one.tokens for one in asked), default=0)
        if largest > policy.kv_tokens:
            raise ValueError(f"a request of {largest} tokens has no room in a cache of {policy.kv_tokens:g}")
        self._asked, self._policy, self._cost = asked, policy, cost
        # A server that may draft pays for that in every step.
        self._method = next((one.method for one in policy.drafting.values()), OFF)
        self._random = np.random.default_rng(seed)
        self._waiting: deque[int] = deque()
        self._running: list[_Running] = []
        self._now_s = 0.0
        self._first_s = np.full(len(asked), np.nan)
        self._last_s = np.full(len(asked), np.nan)

    def run(self, arrivals_s: list[float], *, closed: bool) -> Simulated:
        """Until every request has its answer."""
        due = 0
        while due < len(arrivals_s) or self._waiting or self._running:
            while due < len(arrivals_s) and arrivals_s[due] <= self._now_s:
                self._waiting.append(due)
                due += 1
            if not self._waiting and not self._running:
                self._now_s = arrivals_s[due]
                continue
            for _ in range(self._step()):
                if closed and len(arrivals_s) < len(self._asked):
                    arrivals_s.append(self._now_s)
        output = np.asarray([one.output for one in self._asked], dtype=np.float64)
        return Simulated(np.asarray(arrivals_s), self._first_s, self._last_s, output, self._now_s)

    def _step(self) -> int:
        """Advance by one step; how many answers it completed."""
        self._admit()
        decoding = [one for one in self._running if one.to_prefill == 0]
        limit = self._policy.drafts_up_to
        drafts = limit is None or len(decoding) <= limit
        accepted, drafted, passes = self._drafts(decoding if drafts else [])
        prefilled, ready = self._prefill(len(decoding) + int(drafted))
        self._now_s += self._cost.seconds(
            StepWork(
                method=self._method,
                sequences=len(decoding),
                drafted=drafted,
                draft_steps=passes,
                context=sum(one.context for one in decoding),
                prefilled=prefilled,
            )
        )
        for index, one in enumerate(decoding):
            self._advance(one, 1 + (int(accepted[index]) if drafts and len(accepted) else 0))
        for one in ready:
            self._first_s[one.number] = self._now_s
            self._advance(one, 1)
        before = len(self._running)
        self._running = [one for one in self._running if one.left > 0]
        return before - len(self._running)

    def _admit(self) -> None:
        held = sum(self._asked[one.number].tokens for one in self._running)
        while self._waiting and len(self._running) < self._policy.max_num_seqs:
            number = self._waiting[0]
            held += self._asked[number].tokens
            if held > self._policy.kv_tokens:
                return
            self._waiting.popleft()
            asked = self._asked[number]
            drafting = self._policy.drafting.get(asked.label) or no_drafting()
            self._running.append(
                _Running(
                    number, max(1, asked.prefilled), asked.prefilled + asked.cached, asked.output, drafting
                )
            )

    def _drafts(self, decoding: Sequence[_Running]) -> tuple[Floats, float, float]:
        """Accepted drafts of each sequence, drafted ones of all, and passes of the drafter."""
        k = max((one.drafting.k for one in decoding), default=0)
        if k == 0:
            return np.zeros(0), 0.0, 0.0
        survival = np.zeros((len(decoding), k))
        for row, one in zip(survival, decoding, strict=True):
            row[: one.drafting.k] = one.drafting.survival
        accepted = (survival > self._random.random(len(decoding))[:, None]).sum(axis=1)
        return (
            accepted.astype(np.float64),
            float(sum(one.drafting.drafted for one in decoding)),
            max(one.drafting.draft_steps for one in decoding),
        )

    def _prefill(self, used: int) -> tuple[int, list[_Running]]:
        """Prompt tokens of this step, and who is ready after it."""
        budget, ready = self._policy.max_num_batched_tokens - used, []
        prefilled = 0
        for one in self._running:
            if one.to_prefill == 0 or budget <= 0:
                continue
            part = min(one.to_prefill, budget)
            one.to_prefill -= part
            budget -= part
            prefilled += part
            if one.to_prefill == 0:
                ready.append(one)
        return prefilled, ready

    def _advance(self, one: _Running, tokens: int) -> None:
        made = min(tokens, one.left)
        one.left -= made
        one.context += made
        if one.left == 0:
            self._last_s[one.number] = self._now_s
