"""One pass: every prompt put to one server greedily, so many at a time, in a given order."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from accounting.errors import ServerError
from loadtest.workloads import Prompt
from workbench.losslessness_asking import GreedyAnswer, GreedyAsk, greedy_answer
from workbench.quality.asking import ItemFailedError, ServerGoneError, ask_each
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
    answers: dict[int, GreedyAnswer] = {}

    async def answer(http: httpx.AsyncClient, number: int) -> None:
        try:
            answers[number] = await greedy_answer(http, prompts[number], ask)
        except (ItemFailedError, ServerGoneError) as failure:
            raise ServerError(
                f"{server.base_url}: prompt {prompts[number].prompt_id} has no comparable answer: {failure}.",
                hint="Losslessness compares token ids and their log-probabilities: it takes a vLLM server that "
                "answers every prompt.",
            ) from failure
        report(len(answers), len(prompts))

    order = range(len(prompts))[:: -1 if manner.reverse else 1]
    asyncio.run(ask_each(server, order, answer, concurrency=manner.concurrency))
    return [answers[number] for number in range(len(prompts))]
