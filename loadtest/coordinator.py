"""The one process that decides for all: it prepares the workers, asks their clocks, starts them at one instant, adds up
their counts, changes the stage, and gathers their records. Its channel to them is passed in, so it runs alike over
Locust's messages and in one process.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from loadtest.clock_offset import ClockOffset, Ping, combined
from loadtest.config import LoadSpec
from loadtest.stages import Counts, Stage, StageClock

START_DELAY_S = 0.5  # between the order to start and the start: every worker must have heard it
PROGRESS_S = 0.5
PINGS = 16
ANSWER_LIMIT_S = 600.0  # loading a large workload, or converting an hour of records, takes a while


class WorkerFailedError(Exception):
    """A worker could not do what it was told; its words."""


class ToWorkers(Protocol):
    """How the coordinator speaks to all workers."""

    def __call__(self, order: str, **values: Any) -> None:
        """Send an order to every worker."""


class Coordinator:
    """Runs one cell.

    `emit` tells the parent process what happens; `boot` names this machine's clock; `lost` says which workers have
    gone without a word, empty while all are there.
    """

    def __init__(
        self,
        spec: LoadSpec,
        *,
        to_workers: ToWorkers,
        emit: Callable[..., None],
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        boot: str,
        lost: Callable[[], str] = lambda: "",
    ) -> None:
        self._spec = spec
        self._to_workers = to_workers
        self._emit = emit
        self._clock = clock
        self._sleep = sleep
        self._boot = boot
        self._lost = lost
        self._failed = ""
        self._ready: set[int] = set()
        self._boots: dict[int, str] = {}
        self._pings: dict[int, list[Ping]] = {}
        self._sent_s: dict[int, float] = {}
        # A worker that has not counted yet has neither sent everything nor finished.
        self._counts = {worker: Counts() for worker in range(spec.processes)}
        self._saved: dict[int, dict[str, Any]] = {}
        self._shipped: set[int] = set()
        self._heard_s: dict[int, float] = {}
        self._longest_silence_s: dict[int, float] = {}

    def run(self, *, every_s: float = 0.02) -> list[dict[str, Any]]:
        """The whole cell; the workers' files, each with the offset of its clock.

        Raises:
            WorkerFailedError: if a worker says that it cannot go on, does not answer, or has gone.
        """
        workers = self._spec.processes
        self._to_workers("prepare", spec=msgspec.to_builtins(self._spec))
        self._await(lambda: len(self._ready) == workers, "prepared its prompts")
        before = self._ask_clocks()
        started_s = self._clock() + START_DELAY_S
        offsets = {str(w): o.offset_s for w, o in self._offsets(before, {}).items()}
        self._to_workers("start", at_s=started_s, offsets=offsets)
        self._watch(started_s, every_s)
        after = self._ask_clocks()
        self._to_workers("save")
        self._await(lambda: len(self._saved) == workers, "saved its records")
        self._fetch_what_is_elsewhere()
        return [
            {
                **saved,
                "worker": worker,
                "longest_silence_s": self._longest_silence_s.get(worker),
                **msgspec.to_builtins(offset),
            }
            for worker, offset in self._offsets(before, after).items()
            for saved in [self._saved[worker]]
        ]

    def _watch(self, started_s: float, every_s: float) -> None:
        stages = StageClock(self._spec, emit=self._emit, started_s=started_s)
        told, reported_s = Stage.WARM_UP, 0.0
        while True:
            self._sleep(every_s)
            self._check()
            now_s = self._clock()
            stages.tick(now_s, self._counts.values())
            if stages.stage is not told:
                told = stages.stage
                self._to_workers("stage", stage=str(told))
            if now_s - reported_s >= PROGRESS_S:
                reported_s = now_s
                self._emit("progress", stage=str(told), at_s=now_s, **self._totals())
            # A count that was under way when the drain began says nothing of what is in flight now.
            if stages.drained(now_s, self._counts.values()):
                return

    def _ask_clocks(self) -> dict[int, list[Ping]]:
        self._pings = {}
        for number in range(PINGS):
            self._sent_s[number] = self._clock()
            self._to_workers("ping", number=number)
            wanted = number + 1
            self._await(
                lambda wanted=wanted: (  # type: ignore[misc]
                    len(self._pings) == self._spec.processes
                    and all(len(pings) >= wanted for pings in self._pings.values())
                ),
                "told the time",
                every_s=0.0005,
            )
        return self._pings

    def _offsets(self, before: dict[int, list[Ping]], after: dict[int, list[Ping]]) -> dict[int, ClockOffset]:
        return {
            worker: combined(pings, after.get(worker, []), same_machine=self._boots.get(worker) == self._boot)
            for worker, pings in sorted(before.items())
        }

    def _fetch_what_is_elsewhere(self) -> None:
        for worker, saved in self._saved.items():
            if saved["path"] == str(self._own_copy(worker)) and Path(saved["path"]).is_file():
                continue  # a worker started by hand keeps its file elsewhere, and takes it along when it ends
            copy = self._own_copy(worker)
            saved["path"] = str(copy)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.unlink(missing_ok=True)
            self._to_workers("ship", worker=worker)
            self._await(lambda worker=worker: worker in self._shipped, "sent its records")  # type: ignore[misc]

    def _own_copy(self, worker: int) -> Path:
        return Path(self._spec.records_dir) / f"requests.{worker}.parquet"

    def _await(self, met: Callable[[], bool], what: str, *, every_s: float = 0.02) -> None:
        deadline_s = self._clock() + ANSWER_LIMIT_S
        while not met():
            self._check()
            if self._clock() > deadline_s:
                raise WorkerFailedError(f"not every worker has {what} within {ANSWER_LIMIT_S:.0f} s")
            self._sleep(every_s)
        self._check()

    def _check(self) -> None:
        if self._failed:
            raise WorkerFailedError(self._failed)
        if lost := self._lost():
            raise WorkerFailedError(lost)

    def stop(self, reason: str) -> None:
        """End the cell as failed, if it still runs."""
        self._failed = self._failed or reason

    def heard(self, kind: str, index: int, values: dict[str, Any]) -> None:
        """A worker has said something."""
        match kind:
            case "ready":
                self._ready.add(index)
            case "pong":
                ping = Ping(self._sent_s[values["number"]], self._clock(), values["theirs_s"])
                self._pings.setdefault(index, []).append(ping)
                self._boots[index] = values["boot"]
            case "counts":
                self._note_silence(index)
                self._counts[index] = msgspec.convert(values["counts"], Counts)
            case "saved":
                self._saved[index] = values
            case "part":
                self._keep(index, values["data"])
            case "shipped":
                self._shipped.add(index)
            case "failed":
                self._failed = f"worker {index}: {values['error']}"
            case _:
                raise ValueError(f"a worker says {kind!r}, which nobody knows")

    def _note_silence(self, index: int) -> None:
        """Counts come every 50 ms: a long gap is a held-up worker, or messages that were held up."""
        now_s = self._clock()
        silence_s = now_s - self._heard_s.get(index, now_s)
        self._longest_silence_s[index] = max(silence_s, self._longest_silence_s.get(index, 0.0))
        self._heard_s[index] = now_s

    def _keep(self, index: int, data: bytes) -> None:
        """Add a part of a worker's file. Whoever carries the messages drops errors: a full disk must end the cell."""
        try:
            with self._own_copy(index).open("ab") as file:
                file.write(data)
        except OSError as error:
            self._failed = f"the records of worker {index} cannot be kept: {error}"

    def _totals(self) -> dict[str, int]:
        counts = self._counts.values()
        return {
            "requests": sum(c.requests for c in counts),
            "failed": sum(c.failed for c in counts),
            "output_tokens": sum(c.output_tokens for c in counts),
            "in_flight": sum(c.in_flight for c in counts),
        }
