"""One load process's share of a cell: who sends what when, on a clock and a scheduler that are passed in.

Streams and arrivals are split by number (number mod processes), and what a stream or an arrival asks depends on
its number alone: one process or eight give the same requests.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from accounting.records import Phase, RequestRecord
from loadtest.asking import Ask, Asker, Prompts
from loadtest.config import ClosedLoop, LoadSpec
from loadtest.stages import Counts, Stage
from loadtest.streaming_client import StreamingClient
from loadtest.workloads import Message

BACK_OFF_S = 0.1
LONGEST_BACK_OFF_S = 30.0


class Scheduler(Protocol):
    """What the worker needs of the event loop."""

    def spawn(self, run: Callable[..., None], *arguments: Any) -> object:
        """Run it concurrently."""

    def sleep_until(self, at_s: float) -> None:
        """Let others run until that instant of the monotonic clock."""


class Worker:
    """Counts, stage and the requests of one process; every record goes to `sink`."""

    def __init__(
        self,
        spec: LoadSpec,
        prompts: Prompts,
        scheduler: Scheduler,
        *,
        index: int,
        sink: Callable[[RequestRecord], None],
        api_key: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec = spec
        self.prompts = prompts
        self.scheduler = scheduler
        self.index = index
        self.clock = clock
        self.stage = Stage.WARM_UP
        self.counts = Counts()
        self._failing_since_s: float | None = None
        self.asker = Asker(spec, sink=sink, worker=index, api_key=api_key)

    def report(self) -> Counts:
        """The counts as of now. Nothing starts in the drain, so what is idle there is finished."""
        since_s = self._failing_since_s
        self.counts.failing_for_s = 0.0 if since_s is None else self.clock() - since_s
        self.counts.finished = self.stage is Stage.DRAIN and self.counts.in_flight == 0
        return self.counts

    def session(
        self,
        client: StreamingClient,
        what: Ask,
        *,
        intended_s: float,
        think_s: Callable[[int], float] = lambda _turn: 0.0,
    ) -> RequestRecord:
        """Ask a prompt and its further turns, each when the answer before it has come; the last record.

        A turn's intended send is the arrival of the answer before it plus the time to think. A failed turn ends
        the session.
        """
        said: list[Message] = []
        while True:
            record = self._ask(client, what, intended_s, said)
            turn = len(said) // 2
            if not record.ok or turn >= len(what.prompt.turns):
                return record
            said += [Message("assistant", client.text), Message("user", what.prompt.turns[turn])]
            intended_s = record.end_s + think_s(turn + 1)
            self.scheduler.sleep_until(intended_s)
            if self.stage is Stage.DRAIN:
                return record

    def _ask(
        self, client: StreamingClient, what: Ask, intended_s: float, said: list[Message]
    ) -> RequestRecord:
        counts = self.counts
        record = self.asker.ask(client, what, intended_s=intended_s, said=said)
        counts.requests += 1
        counts.output_tokens += record.completion_tokens or 0
        if record.ok:
            counts.failures_in_a_row, self._failing_since_s = 0, None
            counts.measured_answers += what.phase is Phase.MEASURED
        else:
            counts.failed += 1
            counts.failures_in_a_row += 1
            if self._failing_since_s is None:
                self._failing_since_s = self.clock()
            counts.last_error = record.error
        return record

    def back_off_s(self, record: RequestRecord) -> float:
        """How long to wait after a failure: as the server asked, else longer with every failure."""
        if record.ok:
            return 0.0
        asked_s = record.retry_after_s
        own_s = BACK_OFF_S * min(self.counts.failures_in_a_row, 8)
        return min(own_s if asked_s is None else max(asked_s, own_s), LONGEST_BACK_OFF_S)


def quota(spec: LoadSpec, stream: int) -> int | None:
    """How many measured requests a stream of a closed loop may send; None without a limit."""
    assert isinstance(spec.arrivals, ClosedLoop)
    if spec.stages.requests is None:
        return None
    whole, rest = divmod(spec.stages.requests, spec.arrivals.streams)
    return whole + (stream < rest)
