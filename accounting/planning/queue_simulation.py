"""Requests that arrive, wait, are prefilled and decoded step by step, on an engine whose steps take what was fitted.

The engine is vLLM's scheduler in outline: sequences that decode come first, each with its drafts; what is left of a step's token
budget prefills waiting prompts in order of arrival, in parts if need be; the step ends for all of them together. A request is
admitted while there are seats and room for all its tokens in the KV cache, so that nothing is preempted. How many drafts a step keeps is drawn
from the survival of the request's class. Seconds are simulated; nothing is read or slept.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from accounting.planning.drafting_yield import OFF, DraftingYield, no_drafting
from accounting.planning.step_cost import StepCost

Floats = npt.NDArray[np.float64]
#: Of an open loop's requests, as many may wait for their first token when the last one comes.
LEAST_WAITING, WAITING_SHARE = 2, 0.05


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
    """Seconds of each request, in the order of arrival; `ended_s`: when the last step did. `closed`: a closed loop's."""

    arrived_s: Floats
    first_token_s: Floats
    last_token_s: Floats
    output_tokens: Floats
    ended_s: float
    closed: bool

    @property
    def kept_up(self) -> bool:
        """Whether no queue grew: when the last request came, no more waited for their first token than chance makes wait.

        A closed loop keeps up by its nature: nobody asks before being answered.
        """
        waiting = int((self.first_token_s > self.arrived_s[-1]).sum())
        return self.closed or waiting <= max(LEAST_WAITING, WAITING_SHARE * len(self.arrived_s))

    def after(self, requests: int) -> Simulated:
        """Without the first requests: a closed loop begins with all its prompts at once."""
        return replace(
            self,
            arrived_s=self.arrived_s[requests:],
            first_token_s=self.first_token_s[requests:],
            last_token_s=self.last_token_s[requests:],
            output_tokens=self.output_tokens[requests:],
        )

    @property
    def arriving_s(self) -> float:
        """Seconds in which as many requests come as there are: what a rate of tokens is taken over.

        A steady server answers as many as come; to count until the last answer would count a server that runs empty.
        """
        count = len(self.arrived_s)
        span_s = float(self.arrived_s[-1] - self.arrived_s[0])
        return span_s * count / (count - 1) if span_s > 0 else self.ended_s - float(self.arrived_s[0])

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
        self._asked, self._policy = asked, policy
        # A server that may draft pays for that in every step.
        self._rates = cost.rates(next((one.method for one in policy.drafting.values()), OFF))
        self._random = random.Random(seed)
        self._held = 0
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
        return Simulated(np.asarray(arrivals_s), self._first_s, self._last_s, output, self._now_s, closed)

    def _step(self) -> int:
        """Advance by one step; how many answers it completed."""
        self._admit()
        decoding = [one for one in self._running if one.to_prefill == 0]
        limit = self._policy.drafts_up_to
        # vLLM looks its k up by all that are scheduled, those whose prompt is read included.
        drafts = limit is None or len(self._running) <= limit
        accepted, drafted, passes = self._drafts(decoding if drafts else [])
        prefilled, ready = self._prefill(len(decoding) + int(drafted))
        context = sum(one.context for one in decoding)
        self._now_s += self._rates.seconds(len(decoding), drafted, passes, context, prefilled)
        completed = 0
        for one, kept in zip(decoding, accepted or [0] * len(decoding), strict=True):
            completed += self._advance(one, 1 + kept)
        for one in ready:
            self._first_s[one.number] = self._now_s
            completed += self._advance(one, 1)
        if completed:
            self._running = [one for one in self._running if one.left > 0]
        return completed

    def _admit(self) -> None:
        while self._waiting and len(self._running) < self._policy.max_num_seqs:
            number = self._waiting[0]
            asked = self._asked[number]
            if self._held + asked.tokens > self._policy.kv_tokens:
                return
            self._waiting.popleft()
            self._held += asked.tokens
            drafting = self._policy.drafting.get(asked.label) or no_drafting()
            self._running.append(
                _Running(
                    number, max(1, asked.prefilled), asked.prefilled + asked.cached, asked.output, drafting
                )
            )

    def _drafts(self, decoding: Sequence[_Running]) -> tuple[list[int], float, float]:
        """Accepted drafts of each sequence (none of any without a drafter), drafted ones of all, passes of the drafter."""
        if not self._policy.drafting or not decoding:
            return [], 0.0, 0.0
        accepted, drafted, passes = [], 0.0, 0.0
        for one in decoding:
            drafting, drawn, kept = one.drafting, self._random.random(), 0
            for survival in drafting.survival:
                if drawn >= survival:
                    break
                kept += 1
            accepted.append(kept)
            drafted += drafting.drafted
            passes = max(passes, drafting.draft_steps)
        return accepted, drafted, passes

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

    def _advance(self, one: _Running, tokens: int) -> bool:
        """Give a sequence its tokens; whether its answer is complete."""
        made = min(tokens, one.left)
        one.left -= made
        one.context += made
        if one.left:
            return False
        self._last_s[one.number] = self._now_s
        self._held -= self._asked[one.number].tokens
        return True
