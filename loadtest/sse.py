"""Server-sent events from arbitrarily split bytes: no I/O, no JSON.

Follows the event-stream rules of the HTML standard (section 9.2.6): a byte-order mark at the very start is
skipped, lines end with LF, CRLF or CR, a blank line ends an event, the `data` lines of one event are joined by
newlines (a `data` line without a colon is an empty one), comments and all other fields are skipped, and an
event that no blank line ended is never given. Bytes are never decoded here, so a multi-byte character may be
split anywhere.

A model server writes one event per write and the HTTP parser hands on one write at a time: `feed` looks for
exactly that first, with nothing but searches in C.
"""

from __future__ import annotations

_MARK = b"\xef\xbb\xbf"
_LF, _CR = 10, 13


class SseSplitter:
    """Feed bytes, get the data of every event that they complete.

    `pending` says whether anything but blank lines has come since the last complete event: an event that has
    begun, or a comment. The time stamp of a read that leaves it true belongs to later bytes than its events'.
    """

    __slots__ = ("_after_cr", "_at_start", "_between", "_data", "_tail", "pending")

    def __init__(self) -> None:
        self.pending = False
        self._between = False  # whether an event's first byte is expected, and nothing is held
        self._at_start = True  # whether a byte-order mark may still come
        self._after_cr = False  # whether an LF would be the second half of a line end already taken
        self._tail = bytearray()  # a line that has not ended
        self._data: list[bytes] = []  # the data lines of an event that has not ended

    def feed(self, received: bytes) -> list[bytes]:
        """Events completed by these bytes, in order."""
        if (
            self._between
            and received[:6] == b"data: "
            # The first line end is the last byte but one, and the last byte is one, too.
            and received.find(b"\n") == len(received) - 2
            and received[-1] == _LF
            and _CR not in received
        ):
            return [received[6:-2]]
        return self._feed_anything(received)

    def _feed_anything(self, received: bytes) -> list[bytes]:
        if not received:
            return []
        if _LF not in received and _CR not in received:
            self._tail += (
                received  # grows in place: a large event read byte by byte costs no more than its size
            )
            self.pending = True
            self._between = self._after_cr = False
            return []
        lines = self._whole_lines(received)
        if self._at_start:
            self._at_start = False
            lines[0] = lines[0].removeprefix(_MARK)
        events = self._take(lines)
        self._between = not (self.pending or self._after_cr)
        return events

    def _whole_lines(self, received: bytes) -> list[bytes]:
        """The lines that have ended, without their ends; what is left over is kept."""
        if self._after_cr and received[0] == _LF:
            received = received[1:]
        self._after_cr = received.endswith(b"\r")
        buffer = bytes(self._tail) + received
        if _CR in buffer:
            buffer = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = buffer.split(b"\n")
        self._tail = bytearray(lines.pop())
        return lines

    def _take(self, lines: list[bytes]) -> list[bytes]:
        """Events that these whole lines complete."""
        events: list[bytes] = []
        data = self._data
        pending = self.pending
        for line in lines:
            if line[:5] == b"data:":
                data.append(line[6:] if line[5:6] == b" " else line[5:])
            elif not line:
                if data:
                    events.append(data[0] if len(data) == 1 else b"\n".join(data))
                    data.clear()
                    pending = False
                continue
            elif line == b"data":
                data.append(b"")
            pending = True
        self.pending = pending or bool(self._tail)
        return events
