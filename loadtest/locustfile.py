"""The only module that imports Locust: it owns processes, users, messages and the web page.

One user in each process runs that process's share of the load; what is sent and when is decided elsewhere, and
the truth about a request is its record, not Locust's statistics. `--processes N` and workers on other hosts are
Locust's own master and workers; without them master and worker are one process.
"""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic
from typing import Any

import gevent
import msgspec
from locust import User, constant, events, runners, task
from locust.exception import StopUser
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner

from accounting.records import RequestRecord
from loadtest.config import (
    API_KEY_VARIABLE,
    EVENTS_VARIABLE,
    PARENT_VARIABLE,
    RECORDS_VARIABLE,
    SPEC_VARIABLE,
    read_spec,
)
from loadtest.coordinator import Coordinator, WorkerFailedError
from loadtest.realtime import run_at_once
from loadtest.request_body import PATHS
from loadtest.worker_process import WorkerProcess, boot_id

TO_WORKERS, TO_MASTER = "kilotoken_order", "kilotoken_heard"
BEGIN_LIMIT_S = 30.0  # from Locust's start, when all workers are connected, until their users run

# Locust gives a worker up after four silent seconds. Its messages may rest for longer: pyzmq looks by itself at a socket
# of gevent's only after 11.6 s where a wake-up was lost, and two cores full of vLLM hold processes up for seconds. What a
# pause did to the load is in the records; ending an hour's run for it would lose them.
runners.HEARTBEAT_LIVENESS = 15  # heartbeats, one a second

_spec = read_spec(Path(os.environ[SPEC_VARIABLE])) if SPEC_VARIABLE in os.environ else None
_events_fd = int(os.environ.get(EVENTS_VARIABLE, "-1"))
_runner: Any = None
_coordinator: Coordinator | None = None
_here: list[int] = []  # the workers, by Locust's numbers, whose user has started
_seats: dict[int, int] = {}  # Locust's number of a worker -> which share of the load it sends


def _emit(event: str, **values: object) -> None:
    try:
        os.write(_events_fd, msgspec.json.encode({"event": event, **values}) + b"\n")
    except BrokenPipeError:
        os._exit(1)  # nobody listens any more: the parent is gone


def _hear(kind: str, *, index: int = -1, **values: Any) -> None:
    _runner.send_message(TO_MASTER, {"kind": kind, "index": index, "values": values})


def _count(record: RequestRecord) -> None:
    """Feed Locust's own statistics, for its web page."""
    _runner.environment.events.request.fire(
        request_type="POST",
        name=PATHS[_spec.endpoint] if _spec else "request",
        response_time=(record.end_s - record.intended_send_s) * 1000,
        response_length=record.completion_tokens or 0,
        exception=None if record.ok else RuntimeError(record.error),
        context={},
    )


_process = WorkerProcess(
    hear=_hear,
    heard_record=_count,
    sleep=gevent.sleep,
    aside=lambda run: gevent.get_hub().threadpool.apply(run),
    api_key=os.environ.get(API_KEY_VARIABLE),
    records_dir=Path(os.environ[RECORDS_VARIABLE]) if RECORDS_VARIABLE in os.environ else None,
)
if _spec is not None:
    _process.load(_spec)  # before the processes fork: they share the prompts


class Load(User):
    """One process's share of the load."""

    wait_time = constant(0)

    @task
    def drive(self) -> None:
        """Everything this process sends."""
        _hear("here", number=_runner.worker_index)
        _process.drive()
        raise StopUser


def _obey(environment: Any, msg: Any, **_: Any) -> None:
    seat = msg.data["seats"].get(str(_runner.worker_index))
    if seat is not None:
        _process.obey(msg.data["order"], seat, msg.data["values"])


def _listen(environment: Any, msg: Any, **_: Any) -> None:
    if msg.data["kind"] == "here":
        _here.append(msg.data["values"]["number"])
    elif _coordinator is not None:
        _coordinator.heard(msg.data["kind"], msg.data["index"], msg.data["values"])


def _end_with_parent(parent: int) -> None:
    """End when whoever started us has gone."""
    while True:
        if os.getppid() != parent:
            os._exit(1)
        gevent.sleep(0.25)


if _spec is None:
    # A worker started by hand may wait for its master for minutes before Locust's first event.
    gevent.spawn(_end_with_parent, int(os.environ.get(PARENT_VARIABLE) or os.getppid()))


@events.init.add_listener
def _take_roles(environment: Any, runner: Any, **_: Any) -> None:
    global _runner
    _runner = runner
    _process.realtime = run_at_once()  # each process for itself: a fork does not inherit it
    if not isinstance(runner, MasterRunner):
        runner.register_message(TO_WORKERS, _obey, concurrent=True)
    if not isinstance(runner, WorkerRunner):
        runner.register_message(TO_MASTER, _listen)
    if isinstance(runner, MasterRunner):
        _wait_for_other_workers(runner)
    if _spec is not None:
        forked = isinstance(runner, WorkerRunner)
        gevent.spawn(_end_with_parent, os.getppid() if forked else int(os.environ[PARENT_VARIABLE]))


def _wait_for_other_workers(runner: Any) -> None:
    """Before the start a worker may leave and another come; Locust would quit with the last one that leaves."""
    quit_at_once = runner.quit

    def quit_unless_waiting() -> None:
        if _coordinator is not None or runner.clients:
            quit_at_once()

    runner.quit = quit_unless_waiting


@events.test_start.add_listener
def _start(environment: Any, **_: Any) -> None:
    if not isinstance(environment.runner, WorkerRunner):
        gevent.spawn(_coordinate, environment)


@events.test_stopping.add_listener
def _stop(environment: Any, **_: Any) -> None:
    # When the cell is over this comes too, and nobody asks any more. Locust stops by itself when its last worker is silent.
    if _coordinator is not None:
        _coordinator.stop(_lost() or "it was stopped from outside, as by the button of Locust's page")


def _coordinate(environment: Any) -> None:
    global _coordinator
    assert _spec is not None
    _coordinator = Coordinator(
        _spec,
        to_workers=lambda order, **values: _order(order, values),
        emit=_emit,
        clock=monotonic,
        sleep=gevent.sleep,
        boot=boot_id(),
        lost=_lost,
    )
    try:
        _take_seats(_spec.processes)
        parts = _coordinator.run()
        _emit("saved", parts=parts)
    except WorkerFailedError as error:
        _emit("failed", reason=str(error))
        _order("abandon", {})
    finally:
        environment.process_exit_code = 0
        environment.runner.quit()
        if environment.web_ui is not None:
            environment.web_ui.stop()


def _take_seats(seats: int) -> None:
    """Number the workers that have a user; Locust's own numbers count all that ever came, also those that left.

    Raises:
        WorkerFailedError: if too few begin.
    """
    deadline_s = monotonic() + BEGIN_LIMIT_S
    while len(_here) < seats:
        if monotonic() > deadline_s:
            raise WorkerFailedError(f"{len(_here)} of {seats} load processes began in {BEGIN_LIMIT_S:.0f} s")
        gevent.sleep(0.02)
    _seats.update({number: seat for seat, number in enumerate(sorted(_here)[:seats])})


def _lost() -> str:
    """Which workers have gone: ended, or silent for too many heartbeats."""
    if not isinstance(_runner, MasterRunner):
        return ""
    gone = [
        name.rpartition("_")[0]
        for name, number in _runner.worker_indexes.items()
        if number in _seats and (name not in _runner.clients or _runner.clients[name].state == STATE_MISSING)
    ]
    return f"{len(gone)} of {len(_seats)} load processes have gone, on {', '.join(gone)}" if gone else ""


def _order(order: str, values: dict[str, Any]) -> None:
    if isinstance(_runner, MasterRunner):
        seats = {str(number): seat for number, seat in _seats.items()}
        _runner.send_message(TO_WORKERS, {"order": order, "values": values, "seats": seats})
    else:
        gevent.spawn(_process.obey, order, 0, values)


@events.quitting.add_listener
def _exit_well(environment: Any, **_: Any) -> None:
    environment.process_exit_code = environment.process_exit_code or 0
