"""The last step before the socket: bytes are held until they are to leave, then written whole or in pieces."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

from serving.fake_server.wire_faults import FragmentFault


class ByteOutput:
    """Bytes on their way to one client, in the order in which they were added."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._held = bytearray()
        self._leaving = asyncio.Lock()  # a comment must not come between the pieces of an event
        self._pause_s = 0.0
        self._sizes: Iterator[int] | None = None

    def cut_as(self, fragment: FragmentFault | None) -> None:
        """Write what comes from now on in pieces of these sizes; None: whole."""
        self._sizes = itertools.cycle(fragment.sizes) if fragment else None
        self._pause_s = fragment.pause_s if fragment else 0.0

    def add(self, data: bytes) -> None:
        """Hold bytes; they leave with the next `leave`."""
        self._held += data

    async def leave(self) -> None:
        """Write what is held."""
        if self._sizes is None and not self._leaving.locked():
            self._writer.write(self._held)
            self._held = bytearray()
            await self._writer.drain()
            return
        async with self._leaving:
            data = bytes(self._held)
            self._held.clear()
            while data:
                size = next(self._sizes) if self._sizes is not None else len(data)
                self._writer.write(data[:size])
                data = data[size:]
                await self._writer.drain()
                # Also without a pause: the client gets the chance to read between two pieces.
                await asyncio.sleep(self._pause_s)
