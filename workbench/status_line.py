"""How a command says what it is doing: a live line on a terminal, elsewhere one plain line per stage."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

_MOVING = re.compile(r" \(\d+ s\)$| \d+%$|\b\d+ of \d+ |, \d+ tokens/s$")


@contextmanager
def status_line(console: Console) -> Iterator[Callable[[str], None]]:
    """Something to call with each stage; numbers that only move are not said twice where lines stay."""
    said: set[str] = set()
    with console.status("preparing") as status:

        def say(text: str) -> None:
            status.update(escape(text))
            stage = _MOVING.sub("", text)
            if not console.is_terminal and stage not in said:
                said.add(stage)
                console.print(text, markup=False)

        yield say


def steps(say: Callable[[str], None]) -> Callable[[str, int, int | None], None]:
    """For whatever counts (downloads, child processes): stage, done and in all, as one sentence."""

    def report(stage: str, done: int, total: int | None) -> None:
        say(f"{stage} {done / total:.0%}" if total else stage)

    return report
