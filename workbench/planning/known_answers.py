"""What the target itself says to the prompts that will be measured, as token ids: what the oracle drafts from.

They are for nothing else: `kilotoken collect` leaves these prompts out, because a draft that had learned from them would be flattered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import httpx

from accounting.errors import MachineError, ServerError
from drafts.replay.traces import Trace, write_traces
from loadtest.workloads import Prompt, load_workload
from workbench.collect_asking import CollectAsk, NoTokenIdsError, collected
from workbench.experiment import Experiment
from workbench.experiment_lengths import wanted_prompts
from workbench.plan import make_plan
from workbench.quality.asking import ItemFailedError, ServerGoneError, ask_each
from workbench.server_under_test import ServerUnderTest

Say = Callable[[str], None]
STREAMS = 32
#: Seconds of a cell beside its window, and how much longer is asked than all cells of a server life take.
_AROUND_S, _SPARE = 10.0, 1.5


@dataclass(frozen=True, slots=True)
class WantedAnswers:
    """Prompts in the order in which they are wanted: the first `least` in any case, the others while `longest_s` lasts.

    A prompt that was not asked gets no drafts, which is counted like any step in which nothing was drafted.
    """

    prompts: Sequence[Prompt]
    least: int
    longest_s: float


def wanted_answers(experiment: Experiment) -> WantedAnswers:
    """What the cells of an experiment draw, their workloads in turn, for about as long as one server life measures."""
    plan = make_plan(experiment)
    first: list[list[Prompt]] = []
    rest: list[list[Prompt]] = []
    for source in experiment.workloads:
        loaded = load_workload(source, seed=experiment.workload_seed)
        by_id = {prompt.prompt_id: prompt for prompt in loaded.prompts}
        order, needed = wanted_prompts(experiment, plan, source, loaded)
        first.append([by_id[name] for name in order[:needed]])
        rest.append([by_id[name] for name in order[needed:]])
    cells = len(experiment.workloads) * len(experiment.loads.levels)
    prompts = [*_in_turn(first), *_in_turn(rest)]
    longest_s = _SPARE * cells * (experiment.window.minimum_s + _AROUND_S)
    return WantedAnswers(prompts, sum(map(len, first)), longest_s)


def _in_turn(lists: Sequence[Sequence[Prompt]]) -> list[Prompt]:
    return [prompt for row in zip_longest(*lists) for prompt in row if prompt is not None]


def ask_known_answers(
    server: ServerUnderTest,
    wanted: WantedAnswers,
    *,
    max_tokens: int,
    beyond: int,
    out: Path,
    say: Say,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Ask the target, which must not speculate, and write the traces.

    Args:
        beyond: tokens to ask for behind each answer's end: as many as are drafted at most.

    Raises:
        ServerError: if it answers none, says no token ids, or is gone.
        MachineError: if the file cannot be written.
    """
    ask = CollectAsk(server.model_name, "chat", max_tokens, beyond)
    traces: list[Trace] = []
    why, until_s = "there is no prompt to ask", clock() + wanted.longest_s

    async def ask_one(http: httpx.AsyncClient, numbered: tuple[int, Prompt]) -> None:
        nonlocal why
        number, prompt = numbered
        if number >= wanted.least and clock() >= until_s:
            return
        try:
            traces.append(await collected(http, prompt, ask))
        except ItemFailedError as failure:
            why = str(failure)
        say(f"asking what the target says: {len(traces)} of {len(wanted.prompts)} prompts")

    try:
        asyncio.run(ask_each(server, enumerate(wanted.prompts), ask_one, concurrency=STREAMS))
    except (ServerGoneError, NoTokenIdsError) as error:
        raise ServerError(f"{server.base_url}: {error}.", hint="The same command tries again.") from error
    if not traces:
        raise ServerError(
            f"{server.base_url} answered no prompt: {why}.", hint="The same command tries again."
        )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_traces(out, traces)
    except OSError as error:
        raise MachineError(f"{out} cannot be written: {error.strerror or error}.") from error
