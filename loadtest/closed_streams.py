"""The closed loop: each of N streams sends its next request when its answer is complete and it has thought.

A stream's k-th measured prompt is number `stream + k x streams`, so what is asked depends neither on the speed
of the answers nor on how many processes share the streams. Where prompts are asked once only (natural lengths), a
stream ends with its last one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from accounting.records import Phase, RequestRecord
from loadtest.arrivals import own_share, think_time_s
from loadtest.asking import Ask
from loadtest.config import ClosedLoop
from loadtest.stages import Stage
from loadtest.streaming_client import StreamingClient
from loadtest.worker import Worker, quota

LONGEST_SPREAD_S = 5.0


class ClosedStreams:
    """The streams of one process."""

    def __init__(self, worker: Worker, loop: ClosedLoop) -> None:
        self._worker = worker
        self._loop = loop
        self._streams = list(
            own_share(range(loop.streams), worker=worker.index, workers=worker.spec.processes)
        )
        self._with_measured_left = 0

    def start(self, at_s: float) -> None:
        """Start the streams from that instant on, one after the other over half of the warm-up.

        Together they would march in step: every token of every stream at the same instant, which no real users
        do and no client can time.
        """
        self._with_measured_left = len(self._streams)
        # More processes than streams: this one has nothing to send, but no stream of it has come to an end either.
        self._worker.counts.exhausted = not self._streams and not self._worker.spec.ends_with_first_stream
        spread_s = min(self._worker.spec.stages.warm_up_s / 2, LONGEST_SPREAD_S)
        for stream in self._streams:
            begin_s = at_s + spread_s * stream / self._loop.streams
            self._worker.scheduler.spawn(self._run, stream, begin_s)

    def _run(self, stream: int, at_s: float) -> None:
        self._worker.scheduler.sleep_until(at_s)
        with closing(self._worker.asker.client()) as client:
            free_s = self._warm_up(stream, client, at_s)
            self._measure(stream, client, free_s)

    def _warm_up(self, stream: int, client: StreamingClient, free_s: float) -> float:
        """Warm-up prompts until the stage is over and the stream has had an answer; when it became free."""
        worker, answered, number = self._worker, False, stream
        # Spread over a whole answer's length: else all streams would end their answers in one part of every cycle.
        share = 0.25 + 0.75 * stream / max(self._loop.streams - 1, 1)
        while worker.stage is Stage.WARM_UP or (worker.stage is Stage.RAMP and not answered):
            record = self._ask(Phase.WARM_UP, number, stream, client, free_s, cut=share)
            answered = answered or record.ok
            number += self._loop.streams
            free_s = record.end_s + worker.back_off_s(record)
            worker.scheduler.sleep_until(free_s)
        return free_s

    def _measure(self, stream: int, client: StreamingClient, free_s: float) -> None:
        worker, loop, limit = self._worker, self._loop, quota(self._worker.spec, stream)
        seed = worker.spec.order_seed
        sent = 0
        while (
            worker.stage is not Stage.DRAIN
            and (limit is None or sent < limit)
            and self._may_send(stream + sent * loop.streams)
        ):
            worker.counts.measured_streams += sent == 0
            sent += 1
            number = sent

            def think_s(turn: int, number: int = number) -> float:
                return think_time_s(loop, seed=seed, stream=stream, turn=number * 1000 + turn)

            place = stream + (sent - 1) * loop.streams
            record = self._ask(Phase.MEASURED, place, stream, client, free_s, think_s=think_s)
            free_s = record.end_s + worker.back_off_s(record) + think_s(0)
            if limit is None or sent < limit:
                worker.scheduler.sleep_until(free_s)
        self._with_measured_left -= 1
        worker.counts.exhausted = self._with_measured_left == 0 or worker.spec.ends_with_first_stream

    def _may_send(self, place: int) -> bool:
        """False where a prompt would begin again that is asked once only."""
        return not self._worker.spec.asks_once or self._worker.prompts.has(Phase.MEASURED, place)

    def _ask(
        self,
        phase: Phase,
        number: int,
        stream: int,
        client: StreamingClient,
        free_s: float,
        *,
        think_s: Callable[[int], float] = lambda _turn: 0.0,
        cut: float | None = None,
    ) -> RequestRecord:
        worker = self._worker
        prompt, repeat = worker.prompts[phase, number]
        worker.counts.in_flight += 1
        try:
            what = Ask(prompt, phase, stream, repeat, cut)
            return worker.session(client, what, intended_s=free_s, think_s=think_s)
        finally:
            worker.counts.in_flight -= 1
