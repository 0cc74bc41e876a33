"""One load process under orders: prepare, start, change stage, save, hand over. Locust only carries the messages.

Orders come from the coordinator; what is heard back: `ready`, `pong`, `counts`, `saved`, `part`, `failed`.
"""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from accounting.errors import KilotokenError, LoadError
from accounting.records import RequestRecord
from loadtest.asking import Prompts, prompts_for
from loadtest.cell_schedule import measured_schedule, warm_up_schedule
from loadtest.closed_streams import ClosedStreams
from loadtest.config import ClosedLoop, LoadSpec, Replay
from loadtest.event_loop import Alarm, collect_garbage_seldom
from loadtest.open_arrivals import OpenArrivals
from loadtest.record_spool import RecordSpool
from loadtest.stages import Stage
from loadtest.worker import Scheduler, Worker

COUNTS_EVERY_S = 0.05
COLLECT_EVERY_S = 10.0
PART_BYTES = 1 << 20


def load_prompts(spec: LoadSpec) -> Prompts:
    """The prompts of a cell; a trace keeps its own order."""
    return prompts_for(spec, keep_order=isinstance(spec.arrivals, Replay))


class WorkerProcess:
    """Obeys orders.

    `hear` sends something back to the coordinator, `heard_record` feeds Locust's statistics, `aside` runs what takes
    long so that the event loop goes on: a worker without a heartbeat counts as gone.
    """

    def __init__(
        self,
        *,
        hear: Callable[..., None],
        heard_record: Callable[[RequestRecord], None],
        sleep: Callable[[float], None],
        aside: Callable[[Callable[[], None]], None] = lambda run: run(),
        api_key: str | None = None,
        records_dir: Path | None = None,
    ) -> None:
        self._hear = hear
        self._heard_record = heard_record
        self._sleep = sleep
        self._aside = aside
        self._api_key = api_key
        self._records_dir = records_dir
        self._loaded: tuple[LoadSpec, Prompts] | None = None
        self._worker: Worker | None = None
        self._driver: ClosedStreams | OpenArrivals | None = None
        self._spool: RecordSpool | None = None
        self._parquet = Path()
        self._fresh: deque[RequestRecord] = deque()  # written between the sends, never before the next one
        self._start_s: float | None = None
        self._index = 0
        self._driving = False
        self.over = False
        self.realtime = False

    def load(self, spec: LoadSpec) -> None:
        """Load the prompts ahead of the order; processes that are forked later share them."""
        self._loaded = (spec, load_prompts(spec))

    def obey(self, order: str, index: int, values: dict[str, Any]) -> None:
        """Carry out one order. A failure is told, not raised: it must end the cell, not this handler."""
        try:
            getattr(self, f"_{order}")(index, **values)
        except (KilotokenError, OSError, ValueError) as error:
            self._hear("failed", index=index, error=str(error) or type(error).__name__)

    def _prepare(self, index: int, spec: dict[str, Any]) -> None:
        told = msgspec.convert(spec, LoadSpec)
        if self._loaded is None or self._loaded[0] != told:
            self._aside(lambda: self.load(told))
        assert self._loaded is not None
        self._index = index
        directory = self._records_dir or Path(told.records_dir)
        directory.mkdir(parents=True, exist_ok=True)
        self._spool = RecordSpool(directory / f"requests.{index}.jsonl")
        self._parquet = directory / f"requests.{index}.parquet"
        self._worker = Worker(
            told,
            self._loaded[1],
            _Watched(Alarm(), self._stumbled),
            index=index,
            sink=self._fresh.append,
            api_key=self._api_key,
        )
        self._driver = self._driver_for(told, index)
        collect_garbage_seldom()
        self._hear("ready", index=index)

    def _driver_for(self, spec: LoadSpec, index: int) -> ClosedStreams | OpenArrivals:
        assert self._worker is not None
        if isinstance(spec.arrivals, ClosedLoop):
            return ClosedStreams(self._worker, spec.arrivals)
        return OpenArrivals(
            self._worker,
            warm_up=warm_up_schedule(spec, self._worker.prompts, worker=index),
            measured=measured_schedule(spec, self._worker.prompts, worker=index),
        )

    def _ping(self, index: int, number: int) -> None:
        self._hear("pong", index=index, number=number, theirs_s=time.monotonic(), boot=boot_id())

    def _start(self, index: int, at_s: float, offsets: dict[str, float]) -> None:
        self._start_s = at_s + offsets.get(str(index), 0.0)

    def _stage(self, index: int, stage: str) -> None:
        if self._worker is not None:
            self._worker.stage = Stage(stage)

    def _abandon(self, index: int) -> None:
        """The cell has failed: stop driving, so that the process can end."""
        self.over = True

    def _stumbled(self, error: Exception) -> None:
        """A stream or the pacer has died of a mistake of ours: without a word the cell would wait for it for ever."""
        self._hear("failed", index=self._index, error=f"{type(error).__name__}: {error}")

    def drive(self) -> None:
        """Wait for the start, send this process's share, tell the counts; returns when the records are saved.

        A second call returns at once: Locust may hand a process the user of another one that has gone.
        """
        if self._driving:
            return
        self._driving = True
        while self._start_s is None and not self.over:
            self._sleep(0.01)
        if self.over or self._start_s is None:
            return
        assert self._worker is not None
        assert self._driver is not None
        self._driver.start(self._start_s)
        collected_s = time.monotonic()
        while not self.over:
            self._sleep(COUNTS_EVERY_S)
            self._write_fresh(between=lambda: self._sleep(0))
            self._hear("counts", index=self._index, counts=msgspec.to_builtins(self._worker.report()))
            if time.monotonic() - collected_s > COLLECT_EVERY_S:
                collected_s = time.monotonic()
                gc.collect(1)

    def _write_fresh(self, between: Callable[[], None] = lambda: None) -> None:
        """Write what is there. `between` lets the reads in after each: twenty records in one go hold an answer's end, and so
        its stream's next send, for milliseconds.
        """
        assert self._spool is not None
        while self._fresh:
            record = self._fresh.popleft()
            self._spool.append(record)
            self._heard_record(record)
            between()

    def _save(self, index: int) -> None:
        assert self._spool is not None
        self._write_fresh()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self._spool.close()
        _convert(self._spool.path, self._parquet)
        self.over = True
        self._hear(
            "saved",
            index=index,
            path=str(self._parquet),
            bytes=self._parquet.stat().st_size,
            records=self._spool.count,
            realtime=self.realtime,
            peak_rss_bytes=usage.ru_maxrss * 1024,
            cpu_s=usage.ru_utime + usage.ru_stime,
        )

    def _ship(self, index: int, worker: int) -> None:
        """Send the records: the coordinator cannot see this process's files."""
        if worker != index:
            return
        for part in _parts(self._parquet):
            self._hear("part", index=index, data=part)
        self._hear("shipped", index=index)


class _Watched:
    """A scheduler whose every task tells when it dies."""

    def __init__(self, scheduler: Scheduler, on_failure: Callable[[Exception], None]) -> None:
        self._scheduler = scheduler
        self._on_failure = on_failure
        self.sleep_until = scheduler.sleep_until

    def spawn(self, run: Callable[..., None], *arguments: Any) -> object:
        """Run it concurrently; a failure is told and raised."""

        def watched() -> None:
            try:
                run(*arguments)
            except Exception as error:
                self._on_failure(error)
                raise

        return self._scheduler.spawn(watched)


def _convert(json_lines: Path, parquet: Path) -> None:
    """Have the lines turned into Parquet by a process of its own: this one stays small.

    Raises:
        LoadError: with that process's words.
    """
    argv = [sys.executable, "-P", "-m", "loadtest.request_store", str(json_lines), str(parquet)]
    child = subprocess.run(argv, capture_output=True, text=True, check=False)
    if child.returncode != 0:
        raise LoadError(child.stderr.strip() or f"its converter ended with status {child.returncode}")


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(PART_BYTES):
            yield part


def boot_id() -> str:
    """Equal in all processes that share a monotonic clock; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return f"unknown-{os.getpid()}"
