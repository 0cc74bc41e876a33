"""The server as one coroutine: listens, answers each connection, and stops when it is cancelled."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from http import HTTPStatus

from accounting.errors import MachineError
from serving.fake_server.config import FakeServerConfig
from serving.fake_server.fault_actions import ExitProcess
from serving.fake_server.http_wire import ConnectionCutError, HttpConnection
from serving.fake_server.routes import Routes

Log = Callable[[str], object]


def _silent(_line: str) -> None:
    """Where log lines go when nobody asked for them."""


async def serve(
    config: FakeServerConfig,
    *,
    ready: Callable[[str], object],
    log: Log = _silent,
    clock: Callable[[], float] = time.monotonic,
    wall_clock: Callable[[], float] = time.time,
    exit_process: ExitProcess = os._exit,
) -> None:
    """Serve until cancelled; `ready` gets the base URL once requests are accepted.

    `log` gets lines like uvicorn's. Cancelling drops all connections at once and waits until they are closed.
    """
    routes = Routes(config, clock=clock, wall_clock=wall_clock, exit_process=exit_process)
    connections: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_serve_connection(HttpConnection(reader, writer), routes, log))
        connections.add(task)
        task.add_done_callback(connections.discard)

    log(f"INFO:     Started server process [{os.getpid()}]")
    log("INFO:     Waiting for application startup.")
    try:
        listener = await asyncio.start_server(accept, config.host, config.port, backlog=1024)
    except OSError as error:
        raise MachineError(
            f"the fake server cannot listen on {config.host}:{config.port}: {error.strerror or error}",
            hint="choose another port, or 0 for any free one",
        ) from error
    try:
        host, port = listener.sockets[0].getsockname()[:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        log("INFO:     Application startup complete.")
        log(f"INFO:     Uvicorn running on {url} (Press CTRL+C to quit)")
        ready(url)
        await asyncio.Event().wait()
    finally:
        log("INFO:     Shutting down")
        listener.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await listener.wait_closed()
        log("INFO:     Application shutdown complete.")


async def _serve_connection(conn: HttpConnection, routes: Routes, log: Log) -> None:
    """Answer a connection's requests in turn; a client that hangs up aborts the one in progress."""
    try:
        while (request := await conn.next_request()) is not None:
            answering = asyncio.create_task(routes.answer(request, conn))
            hangup = asyncio.create_task(conn.wait_for_hangup())
            try:
                await asyncio.wait((answering, hangup), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (answering, hangup):
                    task.cancel()
                await asyncio.gather(answering, hangup, return_exceptions=True)
                if conn.status:
                    status = f"{conn.status} {HTTPStatus(conn.status).phrase}"
                    log(f'INFO:     {conn.client} - "{request.method} {request.path} HTTP/1.1" {status}')
            if answering.cancelled():
                break
            answering.result()
    except (ConnectionError, ConnectionCutError):
        return
    finally:
        await conn.close()
