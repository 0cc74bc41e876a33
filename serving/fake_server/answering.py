"""One completion request answered: as a stream of events or whole, with its faults played in between."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec

from serving.fake_server.engine import Engine, Step
from serving.fake_server.event_shapes import AnswerShapes
from serving.fake_server.fault_actions import AnswerFailedError, ExitProcess, act_between_chunks
from serving.fake_server.faults import AnyFault
from serving.fake_server.http_wire import HttpConnection


async def stream_answer(
    conn: HttpConnection, engine: Engine, shapes: AnswerShapes, faults: Sequence[AnyFault],
    exit_process: ExitProcess,
) -> None:  # fmt: skip
    """Send the answer as events, each as soon as its step is due; `[DONE]` ends it, also after an error."""
    await conn.start_events()
    try:
        total_tokens = 0
        async with aclosing(_steps(conn, engine, shapes, faults, exit_process)) as steps:
            async for step in steps:
                if total_tokens == 0:
                    for event in shapes.first_events():
                        await conn.send_event(msgspec.json.encode(event))
                await conn.send_event(msgspec.json.encode(shapes.step_event(step)))
                total_tokens = step.total_tokens
        for event in shapes.last_events(total_tokens):
            await conn.send_event(msgspec.json.encode(event))
    except AnswerFailedError as failure:
        await conn.send_event(msgspec.json.encode(failure.body))
    await conn.send_event(b"[DONE]")
    await conn.end_events()


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
