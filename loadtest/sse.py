"""Server-sent events from arbitrarily split bytes: no I/O, no JSON.

Follows the WHATWG event-stream rules as far as model servers use them: lines end with LF, CRLF or CR, a
blank line ends an event, `data:` lines of one event are joined by newlines, comments (`: ...`) and other
fields are skipped. Bytes are never decoded here, so a multi-byte character may be split anywhere.
"""

from __future__ import annotations


class SseSplitter:
    """Feed bytes, get the data of every event that they complete."""

    def __init__(self) -> None:
        self._tail = b""
        self._data: list[bytes] = []

    @property
    def pending(self) -> bool:
        """Whether an event has begun that is not complete."""
        return bool(self._tail) or bool(self._data)

    def feed(self, received: bytes) -> list[bytes]:
        """Events completed by these bytes, in order."""
        buffer = self._tail + received
        # A CR at the very end may be half of a CRLF: wait for the next byte.
        held = b"\r" if buffer.endswith(b"\r") else b""
        if held:
            buffer = buffer[:-1]
        lines = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._tail = lines.pop() + held
        return [event for line in lines if (event := self._take(line)) is not None]

    def _take(self, line: bytes) -> bytes | None:
        if not line:
            event, self._data = self._data, []
            return b"\n".join(event) if event else None
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
        return None
