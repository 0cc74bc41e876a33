"""A fake server in a thread of the calling process, for tests and for trying a client by hand."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from serving.fake_server.config import FakeServerConfig
from serving.fake_server.fault_actions import ExitProcess
from serving.fake_server.server import serve

_START_TIMEOUT_S = 30.0


class RunningFakeServer:
    """`with RunningFakeServer(config) as server:` serves at `server.url` until the block ends.

    `exit_process` is what a `die` fault calls with the exit code; by default it ends the whole process, so a
    test of that fault either passes its own or starts the server as a process.
    """

    def __init__(
        self,
        config: FakeServerConfig | None = None,
        *,
        exit_process: ExitProcess = os._exit,
    ) -> None:
        self.config = config or FakeServerConfig()
        self.url = ""
        self.log: list[str] = []
        self._exit_process = exit_process
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._stop: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=self._run, name="fake-server", daemon=True)

    @property
    def port(self) -> int:
        """The TCP port in use."""
        return int(self.url.rpartition(":")[2])

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(_START_TIMEOUT_S):
            raise TimeoutError(f"the fake server did not start within {_START_TIMEOUT_S:g} s")
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:  # noqa: BLE001 - raised again in the thread that owns the server
            self._failure = failure
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        serving = asyncio.create_task(
            serve(self.config, ready=self._announce, log=self.log.append, exit_process=self._exit_process)
        )
        self._stop = lambda: loop.call_soon_threadsafe(serving.cancel)
        with suppress(asyncio.CancelledError):
            await serving

    def _announce(self, url: str) -> None:
        self.url = url
        self._ready.set()
