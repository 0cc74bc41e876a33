"""A run's quality rows as the report's contract and as the table of `kilotoken show`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from dashboards.report_data import Estimate, Quality
from workbench.quality.table import between, number
from workbench.titled_table import titled_table

Row = dict[str, Any]
_NOT_THE_SAME_ITEMS = "the baseline was not asked these items"


def report_qualities(rows: Sequence[Row]) -> list[Quality]:
    """What the report shows: one entry per arm and set."""
    found = []
    for row in rows:
        differs = tuple(row["differs_in"])
        if not row["results"]:
            found.append(
                Quality(row["arm"], differs, words=row["words"], command=row["command"], reason=row["reason"])
            )
        found += [_measured(row["arm"], differs, result) for result in row["results"]]
    return found


def _measured(arm: str, differs: tuple[str, ...], result: Row) -> Quality:
    against = result["against"]
    reasons = [result["perplexity"]["reason"]]
    if against is not None:
        reasons.append(against["perplexity"]["reason"])
    elif differs:
        reasons.append(_NOT_THE_SAME_ITEMS)
    else:
        reasons.append("this is the baseline")
    return Quality(
        arm,
        differs,
        set_name=f"{result['set']}, {result['n']} items",
        score=_estimate(result["score"], "value"),
        failures=result["failures"],
        perplexity=_estimate(result["perplexity"], "value"),
        score_difference=_estimate(against["score"] if against else None, "difference"),
        perplexity_ratio=_estimate(against["perplexity"] if against else None, "ratio"),
        reason="; ".join(dict.fromkeys(reason for reason in reasons if reason)),
    )


def _estimate(part: Row | None, key: str) -> Estimate:
    if part is None:
        return Estimate()
    interval = part["interval"]
    return Estimate(part[key], None if interval is None else (interval[0], interval[1]))


def quality_lines(rows: Sequence[Row]) -> Group | None:
    """The table of `show`, None where no arm's numerics differ. Narrow enough for any terminal."""
    if not rows:
        return None
    shown = titled_table(
        "Quality where numerics differ (95 % intervals; perplexity ratio to the baseline, above 1 is worse)"
    )
    for name in ("arm", "set", "score", "perplexity", "ratio"):
        shown.add_column(name, no_wrap=True)
    notes = []
    for row in rows:
        for result in row["results"]:
            shown.add_row(row["arm"], *_cells(result))
        if not row["results"]:
            shown.add_row(row["arm"], f"[yellow]{row['words']}[/yellow]", "", "", "")
            notes.append(Text(f"  {row['arm']}: measure it with {row['command']}", style="dim"))
    return Group(shown, *notes)


def _cells(result: Row) -> tuple[str, ...]:
    score, perplexity, against = result["score"], result["perplexity"], result["against"]
    ratio = against["perplexity"] if against else None
    return (
        f"{result['set']} {result['n']}",
        f"{score['value']:.0%} ({between(score['interval'], '.0%')})",
        f"{number(perplexity['value'], '.3f')} ({between(perplexity['interval'], '.3f')})",
        f"{number(ratio['ratio'], '.4f')} ({between(ratio['interval'], '.4f')})" if ratio else "–",
    )
