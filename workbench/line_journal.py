"""A journal on disk: one JSON line per thing that is known, behind a header that says of what, so that nothing is lost."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accounting.errors import MachineError, RunError

Row = dict[str, Any]


class LineJournal:
    """Made by `opened`, for one process at a time. `rows` are those that were there at the opening."""

    def __init__(self, path: Path, rows: Sequence[Row]) -> None:
        self._path = path
        self.rows = rows

    def add(self, row: Mapping[str, Any]) -> None:
        """Put a row on disk."""
        with self._path.open("a", encoding="utf-8") as file:
            # ASCII: an answer may hold half a surrogate pair, which no file can.
            file.write(json.dumps(row) + "\n")


@contextmanager
def opened(
    path: Path,
    header: Row,
    *,
    anew: bool = False,
    check_other: Callable[[Row], None] = lambda _header: None,
    hint: str = "",
) -> Iterator[LineJournal]:
    """Go on with the journal at `path`.

    It begins anew if asked to, or if it answers to another header: `check_other` is told that one (empty if it cannot
    be read) and may refuse.
    `hint` is what to do where nothing can be written.

    Raises:
        RunError: if another process writes to it.
        MachineError: if it cannot be read or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.with_suffix(".lock").open("a")
    except OSError as error:
        raise MachineError(
            f"{path.parent} cannot be written: {error.strerror or error}.", hint=hint
        ) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"another kilotoken process is measuring the same thing ({path}).", hint="Wait for it."
            ) from None
        found, rows = _read(path, hint)
        if anew or found != header:
            if not anew and found is not None:
                check_other(found)
            rows = []
        # Written again whole: a line that a kill cut off is gone, and nothing is added behind half a line.
        partial = path.with_suffix(".partial")
        with partial.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in (header, *rows))
        partial.replace(path)
        yield LineJournal(path, rows)


def _read(path: Path, hint: str) -> tuple[Row | None, list[Row]]:
    """Header and rows of an earlier process, without the lines that are none (a kill cuts the last one off).

    The header is None where nothing is there yet, and empty where it cannot be read.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            read = [_object(line) for line in file]
    except FileNotFoundError:
        return None, []
    except OSError as error:
        raise MachineError(f"{path} cannot be read: {error.strerror or error}.", hint=hint) from error
    return (read[0] or {} if read else None), [row for row in read[1:] if row is not None]


def _object(line: str) -> Row | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None
