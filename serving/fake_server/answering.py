"""One completion request answered: as a stream of events or whole, with its faults played in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import msgspec

from serving.fake_server.engine import Engine, Step
from serving.fake_server.event_shapes import AnswerShapes
from serving.fake_server.fault_actions import AnswerFailedError, ExitProcess, act_between_chunks
from serving.fake_server.faults import AnyFault
from serving.fake_server.http_wire import HttpConnection
from serving.fake_server.odd_events import OddEvents
from serving.fake_server.stream_faults import EndingFault, KeepAliveFault

_NO_EVENT = b"\x00\xff these bytes are no event \xc3\n\n"
_NOT_JSON = b"{this is not JSON"


async def stream_answer(
    conn: HttpConnection, engine: Engine, shapes: AnswerShapes, faults: Sequence[AnyFault],
    exit_process: ExitProcess,
) -> None:  # fmt: skip
    """Send the answer as events, each as soon as its step is due; `[DONE]` ends it, also after an error."""
    await conn.start_events()
    events = OddEvents(shapes, faults)
    async with _comments(conn, faults):
        try:
            total_tokens = 0
            async with aclosing(_steps(conn, engine, shapes, faults, exit_process)) as steps:
                async for step in steps:
                    before = events.first_events() if total_tokens == 0 else []
                    for event in (*before, *events.step_events(step)):
                        await conn.send_event(msgspec.json.encode(event))
                    total_tokens = step.total_tokens
            for event in events.last_events(total_tokens):
                await conn.send_event(msgspec.json.encode(event))
        except AnswerFailedError as failure:
            await conn.send_event(msgspec.json.encode(failure.body))
    await _end(conn, faults)


async def _end(conn: HttpConnection, faults: Sequence[AnyFault]) -> None:
    """`[DONE]` and the end of the body, in the way that is scripted."""
    ending = next((fault for fault in faults if isinstance(fault, EndingFault)), EndingFault())
    for _ in range(ending.done):
        await conn.send_event(b"[DONE]")
    if ending.after == "event":
        await conn.send_event(_NOT_JSON)
    elif ending.after == "garbage":
        await conn.send_stream_bytes(_NO_EVENT)
    await conn.end_events()


@asynccontextmanager
async def _comments(conn: HttpConnection, faults: Sequence[AnyFault]) -> AsyncIterator[None]:
    """Send comments meanwhile, where a fault asks for them."""

    async def send(every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            await conn.send_comment()

    tasks = [asyncio.create_task(send(f.every_s)) for f in faults if isinstance(f, KeepAliveFault)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def send_whole_answer(
    conn: HttpConnection, engine: Engine, shapes: AnswerShapes, faults: Sequence[AnyFault],
    exit_process: ExitProcess,
) -> None:  # fmt: skip
    """Send the answer in one piece, once its last token is there."""
    try:
        async with aclosing(_steps(conn, engine, shapes, faults, exit_process)) as steps:
            answer = shapes.whole([step async for step in steps])
    except AnswerFailedError as failure:
        await conn.respond_json(500, failure.body)
    else:
        await conn.respond_json(200, answer)


async def _steps(
    conn: HttpConnection, engine: Engine, shapes: AnswerShapes, faults: Sequence[AnyFault],
    exit_process: ExitProcess,
) -> AsyncGenerator[Step, None]:  # fmt: skip
    """The steps as they come due, with the faults that lie before, between and after them."""
    streams = shapes.request.stream
    async with engine.admit(shapes.request) as generation:
        chunks = 0
        await act_between_chunks(faults, chunks, generation, conn, exit_process, streams=streams)
        while not generation.finished:
            yield await generation.next_step()
            chunks += 1
            await act_between_chunks(faults, chunks, generation, conn, exit_process, streams=streams)
