"""What a fault does once it has been drawn, before an answer and between its chunks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from serving.fake_server.engine import Generation
from serving.fake_server.faults import (
    AnyFault,
    DieFault,
    ErrorEventFault,
    GarbageFault,
    HangFault,
    ResetFault,
    SlowMetricsFault,
    StallFault,
    StatusFault,
    TruncateFault,
    WrongUsageFault,
)
from serving.fake_server.http_wire import ConnectionCutError, HttpConnection
from serving.fake_server.refusals import error_body, scripted_status

_NOT_JSON = b'{"id":"garbage","choices":[{"index":0,'
ExitProcess = Callable[[int], object]


class AnswerFailedError(Exception):
    """The engine failed in the middle of an answer; `body` is the error that the client gets to see."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.body = error_body(message, 500)


def extra_usage_tokens(faults: Sequence[AnyFault]) -> int:
    """By how many tokens the answer's usage is to overstate."""
    return sum(fault.extra_tokens for fault in faults if isinstance(fault, WrongUsageFault))


async def act_before_answer(faults: Sequence[AnyFault], conn: HttpConnection) -> None:
    """Do what comes instead of, or before, any answer; raises when there is to be none."""
    for fault in faults:
        match fault:
            case HangFault():
                await asyncio.Event().wait()
            case SlowMetricsFault(delay_s=delay_s):
                await asyncio.sleep(delay_s)
            case StatusFault(status=status, retry_after_s=retry_after_s):
                raise scripted_status(status, retry_after_s)
            case GarbageFault(where="http"):
                await conn.send_not_http()
                raise ConnectionCutError
            case _:
                pass


async def act_on_plain_answer(
    faults: Sequence[AnyFault], conn: HttpConnection, exit_process: ExitProcess
) -> None:
    """What the chunk faults do to a request that generates nothing, such as /health."""
    for fault in faults:
        if isinstance(fault, StallFault):
            await asyncio.sleep(fault.stall_s)
        elif isinstance(fault, TruncateFault | ResetFault | DieFault):
            await _cut(fault, conn, exit_process, streams=False)


async def act_between_chunks(
    faults: Sequence[AnyFault], chunks_sent: int, generation: Generation, conn: HttpConnection,
    exit_process: ExitProcess, *, streams: bool,
) -> None:  # fmt: skip
    """Do what is due after `chunks_sent` chunks; a fault placed beyond the answer's end happens at its end."""
    for fault in faults:
        if isinstance(fault, StallFault):
            if chunks_sent == fault.before_chunk - 1 and not generation.finished:
                generation.stall(fault.stall_s)
        elif isinstance(fault, TruncateFault | ResetFault | DieFault | ErrorEventFault | GarbageFault):
            at_end = generation.finished and fault.after_chunks > chunks_sent
            if fault.after_chunks != chunks_sent and not at_end:
                continue
            if isinstance(fault, ErrorEventFault):
                generation.finish("error")
                raise AnswerFailedError(fault.message)
            if not isinstance(fault, GarbageFault):
                await _cut(fault, conn, exit_process, streams=streams)
            elif streams:
                await conn.send_event(_NOT_JSON)
            else:
                await conn.respond(200, _NOT_JSON, "application/json")
                raise ConnectionCutError


async def _cut(
    fault: TruncateFault | ResetFault | DieFault, conn: HttpConnection, exit_process: ExitProcess,
    *, streams: bool,
) -> None:  # fmt: skip
    if isinstance(fault, DieFault):
        exit_process(fault.exit_code)
    elif isinstance(fault, ResetFault):
        await conn.reset()
    elif not streams:
        await conn.respond_in_part()
    elif fault.ends_body:
        await conn.end_events()
    raise ConnectionCutError
