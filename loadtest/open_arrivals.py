"""The open loop: requests leave when the schedule says so, whatever has become of the ones before.

One pacer per process walks its share of a schedule that was made ahead. A request that the process could not
send in time is sent late and says so: latency starts at the intended send.
"""

from __future__ import annotations

from collections.abc import Iterator

from accounting.records import Phase
from loadtest.asking import Ask
from loadtest.stages import Stage
from loadtest.streaming_client import StreamingClient
from loadtest.worker import Worker

#: (number over all processes, seconds since the phase began), in order of time
Schedule = Iterator[tuple[int, float]]


class OpenArrivals:
    """The pacer of one process and its connections."""

    def __init__(self, worker: Worker, *, warm_up: Schedule, measured: Schedule) -> None:
        self._worker = worker
        self._warm_up = warm_up
        self._measured = measured
        self._idle: list[StreamingClient] = []

    def start(self, at_s: float) -> None:
        """Pace from that instant on: first the warm-up, then what is measured."""
        self._worker.scheduler.spawn(self._pace, at_s)

    def _pace(self, at_s: float) -> None:
        worker = self._worker
        try:
            for number, offset_s in self._warm_up:
                self._send_at(at_s + offset_s, Phase.WARM_UP, number)
            begin_s = at_s + worker.spec.stages.warm_up_s
            for number, offset_s in self._measured:
                if not self._send_at(begin_s + offset_s, Phase.MEASURED, number):
                    break
        finally:
            worker.counts.exhausted = True

    def _send_at(self, intended_s: float, phase: Phase, number: int) -> bool:
        """Sleep, then send without waiting for the answer. False when the load has ended meanwhile."""
        worker = self._worker
        worker.scheduler.sleep_until(intended_s)
        if worker.stage is Stage.DRAIN:
            return False
        worker.counts.in_flight += 1
        worker.scheduler.spawn(self._send, intended_s, phase, number)
        return True

    def _send(self, intended_s: float, phase: Phase, number: int) -> None:
        worker = self._worker
        prompt, repeat = worker.prompts[phase, number]
        client = self._idle.pop() if self._idle else worker.asker.client()
        try:
            worker.session(client, Ask(prompt, phase, number, repeat), intended_s=intended_s)
        finally:
            worker.counts.in_flight -= 1
            self._idle.append(client)
