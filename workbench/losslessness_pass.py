"""One pass: every prompt put to one server greedily, so many at a time, in a given order."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import httpx

from accounting.errors import ServerError
from loadtest.workloads import Prompt
from workbench.losslessness_asking import GreedyAnswer, GreedyAsk, greedy_answer
from workbench.quality.asking import REQUEST_TIMEOUT_S, ItemFailedError, ServerGoneError
from workbench.server_under_test import ServerUnderTest

Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class PassManner:
    """How a pass asks: requests in flight, and whether the last prompt goes first, so that other batches form."""

    concurrency: int
    reverse: bool = False


def greedy_pass(
    server: ServerUnderTest,
    prompts: Sequence[Prompt],
    manner: PassManner,
    *,
    max_tokens: int,
    ignore_eos: bool,
    report: Report,
) -> list[GreedyAnswer]:
    """The answers in the order of `prompts`. One that is not answered ends the pass: a hole could hide a divergence.

    Raises:
        ServerError: naming the first prompt that was not answered, and why.
    """
    # A salt of its own: a pass that read another's KV cache would repeat that pass's rounding.
    ask = GreedyAsk(server.model_name, max_tokens, ignore_eos, cache_salt=uuid.uuid4().hex)
    return asyncio.run(_Pass(server, prompts, ask, report).run(manner))


class _Pass:
    def __init__(
        self, server: ServerUnderTest, prompts: Sequence[Prompt], ask: GreedyAsk, report: Report
    ) -> None:
        self._server, self._prompts, self._ask, self._report = server, prompts, ask, report
        self._answers: dict[int, GreedyAnswer] = {}

    async def run(self, manner: PassManner) -> list[GreedyAnswer]:
        order = iter(range(len(self._prompts))[:: -1 if manner.reverse else 1])
        key = self._server.api_key
        async with httpx.AsyncClient(
            base_url=self._server.base_url,
            timeout=REQUEST_TIMEOUT_S,
            headers={"authorization": f"Bearer {key}"} if key else {},
            limits=httpx.Limits(max_connections=manner.concurrency),
            trust_env=False,
        ) as http:
            workers = [asyncio.create_task(self._work(http, order)) for _ in range(manner.concurrency)]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
        return [self._answers[number] for number in range(len(self._prompts))]

    async def _work(self, http: httpx.AsyncClient, order: Iterator[int]) -> None:
        for number in order:  # shared: each worker takes the next one
            prompt = self._prompts[number]
            try:
                self._answers[number] = await greedy_answer(http, prompt, self._ask)
            except (ItemFailedError, ServerGoneError) as failure:
                raise ServerError(
                    f"{self._server.base_url}: prompt {prompt.prompt_id} has no comparable answer: {failure}.",
                    hint="Losslessness compares token ids and their log-probabilities: it takes a vLLM server that "
                    "answers every prompt.",
                ) from failure
            self._report(len(self._answers), len(self._prompts))
