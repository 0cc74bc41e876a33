"""What is known of each item so far: one JSON line per item, added when it is done, so that nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workbench import line_journal
from workbench.line_journal import LineJournal

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

    def __init__(self, lines: LineJournal, outcomes: dict[str, ItemOutcome]) -> None:
        self._lines = lines
        self.outcomes = outcomes

    def add(self, outcome: ItemOutcome) -> None:
        """Keep an outcome, in memory and on disk."""
        self.outcomes[outcome.item_id] = outcome
        self._lines.add(asdict(outcome))


@contextmanager
def opened(path: Path, header: dict[str, Any], *, anew: bool = False) -> Iterator[Journal]:
    """Go on with the journal at `path`; it begins anew if asked to, or if it answers to another header.

    Raises:
        RunError: if another process writes to it.
        MachineError: if it cannot be written.
    """
    with line_journal.opened(path, header, anew=anew, hint="Set KILOTOKEN_CACHE.") as lines:
        yield Journal(lines, {outcome.item_id: outcome for outcome in _outcomes(lines)})


def _outcomes(lines: LineJournal) -> Iterator[ItemOutcome]:
    """What earlier processes knew; a row that is none is dropped, its item asked again."""
    for row in lines.rows:
        try:
            yield ItemOutcome(**row)
        except TypeError:
            continue
