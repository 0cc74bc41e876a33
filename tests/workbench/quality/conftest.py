"""Servers that answer, and small sets to ask them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from serving.fake_server import FakeServerConfig, RunningFakeServer, Timing
from serving.fake_server.fault_script import parse_fault_script
from workbench.quality.items import Judging, QualityItem
from workbench.server_under_test import ServerUnderTest

FAST = Timing(ttft_s=0.0, tpot_s=0.0)
Faulty = Callable[..., AbstractContextManager[ServerUnderTest]]


@pytest.fixture
def fake() -> Faulty:
    """`with fake(faults, model=...) as server:` a fake server in this process."""

    @contextmanager
    def start(faults: list[dict[str, Any]] | None = None, **config: Any) -> Iterator[ServerUnderTest]:
        settings = {"model": "smol", "timing": FAST, "faults": parse_fault_script(faults or [])} | config
        with RunningFakeServer(FakeServerConfig(**settings)) as running:
            yield ServerUnderTest(running.url, running.config.model)

    return start


@pytest.fixture
def items() -> tuple[QualityItem, ...]:
    """Twelve chats whose right answer holds a word that the fake server says often."""
    return tuple(
        QualityItem(
            f"item-{number:02d}", f"the lighthouse keeper of harbour {number}", "the", Judging.CONTAINS, 40,
            messages=(("user", f"tell me of harbour {number}"),),
        )
        for number in range(12)
    )  # fmt: skip


@pytest.fixture
def says() -> Callable[..., AbstractContextManager[ServerUnderTest]]:
    """`with says({path: body}) as server:` a server that always answers these JSON values (or bytes)."""

    @contextmanager
    def start(bodies: dict[str, Any]) -> Iterator[ServerUnderTest]:
        import threading

        ready, stop, port = threading.Event(), [], [0]

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while head := await _head(reader):
                path = head.split(" ")[1]
                body = bodies.get(path)
                raw = body if isinstance(body, bytes) else json.dumps(body).encode()
                status = "200 OK" if path in bodies else "404 Not Found"
                writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(raw)}\r\n\r\n".encode() + raw)
                await writer.drain()
            writer.close()

        async def serve() -> None:
            listener = await asyncio.start_server(answer, "127.0.0.1", 0)
            port[0] = listener.sockets[0].getsockname()[1]
            done = asyncio.Event()
            loop = asyncio.get_running_loop()
            stop.append(lambda: loop.call_soon_threadsafe(done.set))
            ready.set()
            await done.wait()
            listener.close()

        thread = threading.Thread(target=asyncio.run, args=(serve(),))
        thread.start()
        ready.wait(10)
        yield ServerUnderTest(f"http://127.0.0.1:{port[0]}", "m")
        stop[0]()
        thread.join()

    return start


async def _head(reader: asyncio.StreamReader) -> str:
    """The request line of the next request, empty at the end; its body is read and dropped."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return ""
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            await reader.readexactly(int(value))
    return head


@pytest.fixture
def own_set(tmp_path: Path) -> Path:
    """A quality file of ten lines."""
    lines = [
        {"prompt": f"tell me of harbour {n}", "answer": "the", "match": "contains", "max_tokens": 40}
        for n in range(10)
    ]
    path = tmp_path / "harbours.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path
