"""All items put to one server, a few at a time: answers, verdicts and likelihoods into the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import httpx

from accounting.errors import ServerError
from workbench.quality.asking import ItemFailedError, ServerGoneError, answer_of, ask_each
from workbench.quality.code_execution import run_program
from workbench.quality.items import Judging, QualityItem
from workbench.quality.journal import KEPT_CHARACTERS, ItemOutcome, Journal
from workbench.quality.likelihood import NotOfferedError, reference_likelihood
from workbench.quality.scoring import is_right
from workbench.server_under_test import ServerUnderTest

Report = Callable[[int, int], None]
_PROGRAMS_AT_A_TIME = 2  # they share the processor with the server


def evaluate_items(
    server: ServerUnderTest,
    items: Sequence[QualityItem],
    journal: Journal,
    *,
    concurrency: int,
    report: Report,
) -> None:
    """Put the items that the journal lacks to the server; `report` gets how many are done, of how many.

    Raises:
        ServerError: if the server can no longer be reached; what is done is in the journal.
    """
    left = [item for item in items if item.item_id not in journal.outcomes]
    report(len(items) - len(left), len(items))
    try:
        asyncio.run(_Evaluation(server, journal, len(items), report).run(left, concurrency))
    except ServerGoneError as error:
        server.explain_death("while its quality was measured")
        done = sum(item.item_id in journal.outcomes for item in items)
        raise ServerError(
            f"the server at {server.base_url} stopped answering after {done} of {len(items)} items: {error}.",
            hint="The same command goes on from there.",
        ) from error


class _Evaluation:
    """One pass over items with one server."""

    def __init__(self, server: ServerUnderTest, journal: Journal, total: int, report: Report) -> None:
        self._server, self._journal, self._total, self._report = server, journal, total, report
        self._no_likelihood = ""  # why this server says none, once that is known
        self._programs = asyncio.Semaphore(_PROGRAMS_AT_A_TIME)

    async def run(self, items: Sequence[QualityItem], concurrency: int) -> None:
        await ask_each(self._server, items, self._evaluate, concurrency=concurrency)

    async def _evaluate(self, http: httpx.AsyncClient, item: QualityItem) -> None:
        self._journal.add(await self._outcome(http, item))
        self._report(len(self._journal.outcomes), self._total)

    async def _outcome(self, http: httpx.AsyncClient, item: QualityItem) -> ItemOutcome:
        try:
            outcome = await self._answered(http, item)
        except ItemFailedError as failure:
            outcome = ItemOutcome(item.item_id, right=False, failure=str(failure))
        except ServerGoneError as gone:
            if not await _answers(http):
                raise
            outcome = ItemOutcome(item.item_id, right=False, failure=str(gone))
        return await self._with_likelihood(http, item, outcome)

    async def _answered(self, http: httpx.AsyncClient, item: QualityItem) -> ItemOutcome:
        answer = await answer_of(http, self._server.model_name, item)
        right, why = await self._judged(item, answer.text)
        return ItemOutcome(
            item.item_id, right, why_wrong=why, answer=answer.text[:KEPT_CHARACTERS], cut_off=answer.cut_off
        )

    async def _judged(self, item: QualityItem, answer: str) -> tuple[bool, str]:
        if item.judging is not Judging.CODE or item.code_test is None:
            return is_right(item, answer), ""
        test = item.code_test
        program = f"{item.prompt}{answer}\n\n{test.code}\n\ncheck({test.entry_point})\n"
        async with self._programs:
            verdict = await asyncio.to_thread(run_program, program)
        return verdict.passed, verdict.why

    async def _with_likelihood(
        self, http: httpx.AsyncClient, item: QualityItem, outcome: ItemOutcome
    ) -> ItemOutcome:
        if self._no_likelihood:
            return replace(outcome, likelihood_reason=self._no_likelihood)
        try:
            found = await reference_likelihood(http, self._server.model_name, item)
        except NotOfferedError as lack:
            self._no_likelihood = str(lack)
            return replace(outcome, likelihood_reason=str(lack))
        except ItemFailedError as failure:
            return replace(outcome, likelihood_reason=str(failure))
        except ServerGoneError as gone:
            if not await _answers(http):
                raise
            return replace(outcome, likelihood_reason=str(gone))
        return replace(outcome, nats=found.nats, tokens=found.tokens, token_digest=found.token_digest)


async def _answers(http: httpx.AsyncClient) -> bool:
    """Whether the server still accepts requests: then a broken connection was that request's own."""
    try:
        await http.get("/v1/models", timeout=10.0)
    except httpx.HTTPError:
        return False
    return True
