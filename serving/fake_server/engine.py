"""The engine that is not there: slots, paced steps, what is remembered, and the counting of all of them."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from serving.fake_server.answers import answer_words, natural_length, prompt_digest, token_id
from serving.fake_server.config import FakeServerConfig
from serving.fake_server.metrics_page import MetricsPage, RequestTimes
from serving.fake_server.pace_noise import Pace
from serving.fake_server.prefix_blocks import PrefixBlocks
from serving.fake_server.request_body import GenerationRequest
from serving.fake_server.timing import deadlines_s, step_sizes


@dataclass(frozen=True, slots=True)
class Step:
    """What one step yielded: text, its token ids, the answer's tokens so far, and why it ended, if it did."""

    text: str
    token_ids: tuple[int, ...]
    total_tokens: int
    finish_reason: str | None


class Engine:
    """Admits up to `max_concurrency` requests at a time, in order of arrival."""

    def __init__(self, config: FakeServerConfig, page: MetricsPage, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds."""
        self.config = config
        self.page = page
        self.clock = clock
        self.pace = Pace(config.noise, config.seed)
        self.waiting = 0
        self._slots = asyncio.Semaphore(config.timing.max_concurrency)
        self._running: set[Generation] = set()
        self.prefix_blocks = PrefixBlocks(config.block_size)
        self.answered: set[str] = set()  # digests of prompts whose answers a suffix drafter remembers
        self._numbers = itertools.count()

    @asynccontextmanager
    async def admit(self, request: GenerationRequest) -> AsyncIterator[Generation]:
        """A generation in its slot; leaving before its last step aborts it."""
        times = RequestTimes(self.clock())
        number = next(self._numbers)
        self.waiting += 1
        try:
            await self._slots.acquire()
        except asyncio.CancelledError:
            self.page.count_finished("abort", times, self.clock())
            raise
        finally:
            self.waiting -= 1
        generation = Generation(self, request, times, number)
        self._running.add(generation)
        try:
            yield generation
        finally:
            generation.finish("abort")

    def release(self, generation: Generation) -> None:
        """Give a finished generation's slot to the next request."""
        self._running.discard(generation)
        self._slots.release()

    def reset_prefix_cache(self) -> bool:
        """Forget all blocks; refused, as vLLM does, while requests hold some, or when scripted so."""
        if self._running or not self.config.prefix_reset_succeeds:
            return False
        self.prefix_blocks.forget()
        return True

    def render_metrics(self, without: tuple[str, ...] = ()) -> bytes:
        """The metrics page as of now."""
        held = sum(generation.tokens_held for generation in self._running)
        return self.page.render(
            running=len(self._running),
            waiting=self.waiting,
            kv_usage=min(1.0, held / self.config.kv_cache_tokens),
            without=without,
        )


class Generation:
    """One admitted request: yields its steps when they are due and counts each before it is sent."""

    def __init__(self, engine: Engine, request: GenerationRequest, times: RequestTimes, number: int) -> None:
        self._engine = engine
        self._request = request
        self._times = times
        timing, seed = engine.config.timing, engine.config.seed
        self._digest = prompt_digest(request.prompt)
        self._words = answer_words(self._digest, seed, request.wrong_token_one_in)
        natural = natural_length(self._digest, seed, engine.config.natural_length)
        self._ends_itself = not request.ignore_eos and natural <= request.max_tokens
        self._length = natural if self._ends_itself else request.max_tokens
        self._sizes = self._step_sizes()
        self._start_s = times.scheduled_s = engine.clock()
        self._deadlines = deadlines_s(
            timing,
            random.Random(f"jitter {seed} {number}"),
            lambda planned_s: engine.pace.speed_at(self._start_s + planned_s),
        )
        self._blocks = engine.prefix_blocks.names(request.prompt, request.cache_salt)
        self._hits = engine.prefix_blocks.hit_tokens(self._blocks, len(request.prompt))
        engine.page.count_scheduled(len(request.prompt), self._hits)
        self.total_tokens = 0
        self.finished = False

    def _step_sizes(self) -> Iterator[int]:
        """Tokens of each step. A suffix drafter knows the answers of its server's life by heart, and no reset clears it."""
        config = self._engine.config
        if config.speculative_method != "suffix" or not config.draft_tokens:
            return step_sizes(config.timing)
        known = self._digest in self._engine.answered
        return itertools.chain((1,), itertools.repeat(config.draft_tokens + 1 if known else config.cold_step))

    @property
    def tokens_held(self) -> int:
        """Tokens this request keeps in the KV cache."""
        return len(self._request.prompt) + self.total_tokens

    def stall(self, stall_s: float) -> None:
        """Make everything still to come `stall_s` seconds later."""
        self._start_s += stall_s

    async def next_step(self) -> Step:
        """The next step, once it is due. Not to be called on a finished generation."""
        due_s = self._start_s + next(self._deadlines)
        await asyncio.sleep(max(0.0, due_s - self._engine.clock()))
        scripted = next(self._sizes)
        tokens = min(scripted, self._length - self.total_tokens)
        words = list(itertools.islice(self._words, tokens))
        self.total_tokens += tokens
        self._count(tokens, drafted=scripted > 1)
        reason = None
        if self.total_tokens == self._length:
            reason = "stop" if self._ends_itself else "length"
            self.finish(reason)
        return Step(
            "".join(words), tuple(token_id(word.strip()) for word in words), self.total_tokens, reason
        )

    def _count(self, tokens: int, *, drafted: bool) -> None:
        now_s, times, page = self._engine.clock(), self._times, self._engine.page
        if times.last_token_s is None:
            times.first_token_s = now_s
            self._engine.prefix_blocks.remember(self._blocks)
            page.count_first_token(len(self._request.prompt), self._hits, now_s - times.arrived_s)
        else:
            page.count_decode_step(tokens, now_s - times.last_token_s, drafted=drafted)
        times.last_token_s = now_s

    def finish(self, reason: str) -> None:
        """Leave the engine for this reason; only the first call counts."""
        if not self.finished:
            self.finished = True
            if self.total_tokens:
                self._engine.answered.add(self._digest)
            self._engine.page.count_finished(reason, self._times, self._engine.clock())
            self._engine.release(self)
