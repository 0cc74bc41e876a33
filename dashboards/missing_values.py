"""Where a value is missing the page shows a dash, the reason as its title, and a numbered footnote."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from dashboards.number_format import usable

NO_REASON = "no reason was recorded"
NOT_MEASURED = "this group was not measured"
NOT_FINITE = "the recorded value is not a finite number"


class MissingValues:
    """Collects the reasons of one page and numbers them in the order of first use."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def dash(self, reason: str) -> str:
        """HTML of a dash that says why it is there."""
        reason = reason or NO_REASON
        index = self._numbers.setdefault(reason, len(self._numbers) + 1)
        return (
            f'<abbr class="missing" title="{escape(reason)}">–</abbr>'
            f'<sup><a href="#missing-{index}" aria-label="missing, see note {index}">{index}</a></sup>'
        )

    def shown(self, value: float | None, write: Callable[[float], str], reason: str | None) -> str:
        """HTML of a value as `write` writes it, or of its absence."""
        if value is None:
            return self.dash(reason or NO_REASON)
        return escape(write(value)) if usable(value) else self.dash(NOT_FINITE)

    def section(self) -> str:
        """HTML of the footnotes, empty when nothing was missing. Call it after everything else."""
        if not self._numbers:
            return ""
        items = "".join(
            f'<li id="missing-{index}">{escape(reason)}</li>' for reason, index in self._numbers.items()
        )
        return (
            '<section aria-labelledby="missing"><h2 id="missing">Why a value is missing</h2>'
            f'<ol class="footnotes">{items}</ol></section>'
        )
