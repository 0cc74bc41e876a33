"""What a fault does once it has been drawn, before an answer and between its chunks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from serving.fake_server.engine import Generation
from serving.fake_server.faults import AnyFault
from serving.fake_server.http_wire import ConnectionCutError, HttpConnection
from serving.fake_server.refusal_faults import HangFault, RedirectFault, SlowMetricsFault, StatusFault
from serving.fake_server.refusals import error_body, scripted_redirect, scripted_status
from serving.fake_server.request_body import GenerationRequest
from serving.fake_server.stream_faults import (
    DieFault,
    ErrorEventFault,
    NotStreamedFault,
    NoUsageFault,
    StallFault,
    WrongTokenFault,
    WrongUsageFault,
)
from serving.fake_server.wire_faults import GarbageFault, HalfCloseFault, ResetFault, TruncateFault

_NOT_JSON = b'{"id":"garbage","choices":[{"index":0,'
_Cut = TruncateFault | ResetFault | HalfCloseFault | DieFault
ExitProcess = Callable[[int], object]


class AnswerFailedError(Exception):
    """The engine failed in the middle of an answer; `body` is the error that the client gets to see."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.body = error_body(message, 500)


def extra_usage_tokens(faults: Sequence[AnyFault]) -> int:
    """By how many tokens the answer's usage is to overstate."""
    return sum(fault.extra_tokens for fault in faults if isinstance(fault, WrongUsageFault))


def changed_request(request: GenerationRequest, faults: Sequence[AnyFault]) -> GenerationRequest:
    """The request as a server with these faults understands it."""
    for fault in faults:
        match fault:
            case NotStreamedFault():
                request = replace(request, stream=False)
            case WrongTokenFault(one_in=one_in):
                request = replace(request, wrong_token_one_in=one_in)
            case NoUsageFault(where="everywhere"):
                request = replace(request, include_usage=False, continuous_usage=False)
            case NoUsageFault(where="last"):
                request = replace(request, include_usage=False)
            case NoUsageFault(where="chunks"):
                request = replace(request, continuous_usage=False)
            case _:
                pass
    return request


async def act_before_answer(
    faults: Sequence[AnyFault], conn: HttpConnection, path: str, now_s: float
) -> None:
    """Do what comes instead of, or before, any answer; raises when there is to be none.

    `now_s` is in seconds since the epoch.
    """
    for fault in faults:
        match fault:
            case HangFault():
                await asyncio.Event().wait()
            case SlowMetricsFault(delay_s=delay_s):
                await asyncio.sleep(delay_s)
            case StatusFault():
                raise scripted_status(fault, now_s)
            case RedirectFault():
                raise scripted_redirect(fault, path)
            case GarbageFault(where="http"):
                await conn.send_not_http()
                raise ConnectionCutError
            case ResetFault(before_head=True):
                await conn.reset()
                raise ConnectionCutError
            case TruncateFault(before_head=True):
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
        elif isinstance(fault, _Cut):
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
        elif isinstance(fault, _Cut | ErrorEventFault | GarbageFault):
            at_end = generation.finished and fault.after_chunks > chunks_sent
            if fault.after_chunks != chunks_sent and not at_end:
                continue
            if isinstance(fault, ErrorEventFault):
                generation.finish("error")
                raise AnswerFailedError(fault.message)
            if not isinstance(fault, GarbageFault):
                if isinstance(fault, HalfCloseFault):
                    generation.finish("abort")  # nothing of it can be sent any more
                await _cut(fault, conn, exit_process, streams=streams)
            elif streams:
                await conn.send_event(_NOT_JSON)
            else:
                await conn.respond(200, _NOT_JSON, "application/json")
                raise ConnectionCutError


async def _cut(
    fault: _Cut, conn: HttpConnection, exit_process: ExitProcess,
    *, streams: bool,
) -> None:  # fmt: skip
    if isinstance(fault, DieFault):
        await conn.let_events_leave()
        exit_process(fault.exit_code)
    elif isinstance(fault, ResetFault):
        await conn.reset()
    elif not streams:
        await conn.respond_in_part()
    elif isinstance(fault, TruncateFault) and fault.ends_body:
        await conn.end_events()
    else:
        await conn.let_events_leave()
    if isinstance(fault, HalfCloseFault):
        await conn.end_our_side()
        await asyncio.Event().wait()  # ended by the client's own close
    raise ConnectionCutError
