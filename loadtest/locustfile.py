"""The only module that imports Locust: one user per stream, driven by the closed loop.

Locust owns processes, users and its own statistics; what is sent and when is the closed loop's decision,
and the truth about each request is its record, not Locust's statistics.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from time import monotonic
from typing import Any

import gevent
import msgspec
from locust import User, constant, events, task
from locust.exception import StopUser

from accounting.records import Phase, RequestRecord
from loadtest.chat_request import PATH, request_body
from loadtest.closed_loop import ClosedLoop
from loadtest.config import (
    API_KEY_VARIABLE,
    EVENTS_VARIABLE,
    PARENT_VARIABLE,
    SPEC_VARIABLE,
    read_spec,
)
from loadtest.prompt_order import ordered_slice
from loadtest.request_store import write_json_lines
from loadtest.streaming_client import Send, StreamingClient
from loadtest.workloads import Split, load_workload

TICK_S = 0.02
PROGRESS_S = 0.5

# Told, not asked: a parent that died before this line would otherwise never be missed.
_parent = int(os.environ[PARENT_VARIABLE])
_spec = read_spec(Path(os.environ[SPEC_VARIABLE]))
_events_fd = int(os.environ[EVENTS_VARIABLE])
_records: list[RequestRecord] = []
_stream_numbers = itertools.count()


def _emit(event: str, **values: object) -> None:
    try:
        os.write(_events_fd, msgspec.json.encode({"event": event, **values}) + b"\n")
    except BrokenPipeError:
        os._exit(1)  # nobody listens any more: the parent is gone


def _build_loop() -> ClosedLoop:
    workload = load_workload(_spec.workload, seed=_spec.workload_seed)
    warm_up, measured = (
        ordered_slice(
            workload.of(split),
            seed=_spec.order_seed,
            slice_index=_spec.slice_index,
            slice_count=_spec.slice_count,
        )
        for split in (Split.WARM_UP, Split.MEASURED)
    )
    return ClosedLoop(_spec, warm_up=warm_up, measured=measured, emit=_emit, now_s=monotonic())


_loop = _build_loop()


class Stream(User):
    """One closed-loop stream."""

    wait_time = constant(0)

    def on_start(self) -> None:
        """Take a stream number and open a client of its own."""
        self.stream = next(_stream_numbers)
        self.client = StreamingClient(
            _spec.base_url,
            timeout_s=_spec.request_timeout_s,
            api_key=os.environ.get(API_KEY_VARIABLE),
        )

    def on_stop(self) -> None:
        """Close the connection."""
        self.client.close()

    @task
    def ask(self) -> None:
        """Send the next prompt of the loop and record what came back."""
        following = _loop.next_request(self.stream, monotonic())
        if following is None:
            raise StopUser
        body = request_body(
            following.prompt,
            model=_spec.model,
            max_tokens=following.max_tokens,
            ignore_eos=_spec.ignore_eos,
            # Token ids are the third count of the reconciliation; asked for where they cost no measurement.
            return_token_ids=following.phase is Phase.WARM_UP and _spec.vllm_extensions,
            running_usage=_spec.vllm_extensions,
            cache_salt=_spec.cache_salt,
        )
        if (wait_s := following.not_before_s - monotonic()) > 0:
            gevent.sleep(wait_s)
        record = self.client.run(
            Send(
                request_id=f"{following.number:06d}",
                phase=following.phase,
                stream=self.stream,
                workload=_spec.workload,
                prompt_id=following.prompt.prompt_id,
                template=following.prompt.template,
                prompt_repeat=following.prompt_repeat,
                intended_send_s=following.intended_send_s,
                body=body,
            ),
            _records.append,
        )
        _loop.completed(self.stream, record, monotonic())
        self.environment.events.request.fire(
            request_type="POST",
            name=PATH,
            response_time=(record.end_s - record.intended_send_s) * 1000,
            response_length=record.completion_tokens or 0,
            exception=None if record.ok else RuntimeError(record.error),
            context={},
        )


def _watch(environment: Any) -> None:
    """Advance the loop between answers, report progress, and end when the loop or the parent has ended."""
    reported_s = 0.0
    while not _loop.finished:
        gevent.sleep(TICK_S)
        now_s = monotonic()
        _loop.tick(now_s)
        if os.getppid() != _parent:
            os._exit(1)
        if now_s - reported_s >= PROGRESS_S:
            reported_s = now_s
            _emit(
                "progress",
                stage=str(_loop.stage),
                requests=_loop.requests,
                failed=_loop.failed,
                output_tokens=_loop.output_tokens,
            )
    environment.runner.quit()


@events.test_start.add_listener
def _start(environment: Any, **_: Any) -> None:
    gevent.spawn(_watch, environment)


@events.quitting.add_listener
def _save(environment: Any, **_: Any) -> None:
    write_json_lines(_records, Path(_spec.records_path))
    _emit("saved", records=len(_records))
    environment.process_exit_code = 0
