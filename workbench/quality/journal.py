"""What is known of each item so far: one JSON line per item, added when it is done, so that nothing is lost."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accounting.errors import MachineError, RunError

KEPT_CHARACTERS = 4000  # of an answer: enough to see what went wrong, never an endless one


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """What came of one item.

    `failure` says why there is no answer, empty when there is one; a failed item counts as not right. `nats` and
    `tokens` are the reference's likelihood, None where `likelihood_reason` says why.
    """

    item_id: str
    right: bool
    failure: str = ""
    why_wrong: str = ""
    answer: str = ""
    cut_off: bool = False
    nats: float | None = None
    tokens: int | None = None
    token_digest: str = ""
    likelihood_reason: str = ""


class Journal:
    """Outcomes on disk. Made by `opened`, for one process at a time."""

    def __init__(self, path: Path, outcomes: dict[str, ItemOutcome]) -> None:
        self._path = path
        self.outcomes = outcomes

    def add(self, outcome: ItemOutcome) -> None:
        """Keep an outcome, in memory and on disk."""
        self.outcomes[outcome.item_id] = outcome
        with self._path.open("a", encoding="utf-8") as file:
            # ASCII: an answer may hold half a surrogate pair, which no file can.
            file.write(json.dumps(asdict(outcome)) + "\n")


@contextmanager
def opened(path: Path, header: dict[str, Any], *, anew: bool = False) -> Iterator[Journal]:
    """Go on with the journal at `path`; it begins anew if asked to, or if it answers to another header.

    Raises:
        RunError: if another process writes to it.
        MachineError: if it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.with_suffix(".lock").open("a")
    except OSError as error:
        raise MachineError(
            f"{path.parent} cannot be written: {error.strerror or error}.", hint="Set KILOTOKEN_CACHE."
        ) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"another kilotoken process is measuring the same thing ({path}).", hint="Wait for it."
            ) from None
        outcomes = {} if anew else _read(path, header)
        rows = [header, *(asdict(outcome) for outcome in outcomes.values())]
        partial = path.with_suffix(".partial")
        partial.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        partial.replace(path)
        yield Journal(path, outcomes)


def _read(path: Path, header: dict[str, Any]) -> dict[str, ItemOutcome]:
    """Outcomes of an earlier process; a last line that a kill cut off is dropped, its item asked again."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    outcomes: dict[str, ItemOutcome] = {}
    for number, line in enumerate(lines):
        try:
            row = json.loads(line)
            if number == 0:
                if row != header:
                    return {}
                continue
            outcomes[row["item_id"]] = ItemOutcome(**row)
        except (ValueError, TypeError, KeyError):
            if number == 0:
                return {}
    return outcomes
