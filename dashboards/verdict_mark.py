"""How a verdict stands in a table: its words, behind an icon that says whether it is `valid`."""

from __future__ import annotations

from accounting.verdicts import Verdict
from dashboards.markup import marked


def verdict_mark(verdict: str) -> str:
    """HTML of a verdict."""
    word = verdict.replace("_", " ")
    return marked("✓", word, "fit") if verdict == Verdict.VALID else marked("⚠︎", word, "unfit")
