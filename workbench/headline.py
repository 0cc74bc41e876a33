"""One honest sentence: where speculation paid on this machine and where it did not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accounting.comparison import MINIMUM_PAIRS
from workbench.compare_metrics import EQUAL_BY_CONSTRUCTION
from workbench.loads import CAPACITY
from workbench.losslessness_rows import words_beside_a_win

Row = dict[str, Any]


def headline(comparisons: Sequence[Row], baseline: str, losslessness: Sequence[Row] = ()) -> str:
    """Sum the comparisons up, arm by arm, from the direction that every pair agrees on.

    A speculating arm that won carries a word on its answers (`losslessness_rows`), and a lossy one in any case.
    """
    if not comparisons:
        return f"Only {baseline} was measured: there is nothing to compare it with."
    said = []
    for arm, rows in _by_arm(comparisons).items():
        won = any(direction(row) == "paid" for row in rows)
        said += [_arm_sentence(arm, rows, baseline), words_beside_a_win(losslessness, arm, won=won)]
    return " ".join(filter(None, said))


def _by_arm(comparisons: Sequence[Row]) -> dict[str, list[Row]]:
    arms: dict[str, list[Row]] = {}
    for row in comparisons:
        arms.setdefault(row["arm"], []).append(row)
    return arms


def _arm_sentence(arm: str, rows: list[Row], baseline: str) -> str:
    paid = [_place(row) for row in rows if direction(row) == "paid"]
    lost = [_place(row) for row in rows if direction(row) == "lost"]
    open_ = [_place(row) for row in rows if direction(row) == "mixed"]
    parts = []
    if paid:
        parts.append(f"paid on {_listed(paid)}")
    if lost:
        parts.append(f"lost on {_listed(lost)}")
    if open_:
        parts.append(f"gave no clear answer on {_listed(open_)}")
    if fixed := [f"{row['workload']} at {row['load']}" for row in rows if direction(row) == "fixed"]:
        parts.append(f"costs the same by construction on {_listed(fixed)}: {_latency_words(rows)}")
    if not parts:
        return f"On this machine {arm} has no valid pair against {baseline} yet."
    return f"On this machine, against {baseline}, {arm} {'; '.join(parts)}."


def direction(row: Row) -> str:
    """`paid` or `lost` when every pair agrees, `mixed` when they do not, `unknown` without pairs; `fixed` at a rate."""
    if row["word"] == EQUAL_BY_CONSTRUCTION:
        return "fixed"
    ratios = row["pair_ratios"]
    if not ratios:
        return "unknown"
    if row["interval"] is not None:
        low, high = row["interval"]
        return "paid" if high < 1 else "lost" if low > 1 else "mixed"
    if all(ratio < 1 for ratio in ratios):
        return "paid"
    return "lost" if all(ratio > 1 for ratio in ratios) else "mixed"


def _latency_words(rows: list[Row]) -> str:
    """What latency says at fixed rates, where an interval says anything."""
    words = [
        f"{one['title']} is {one['word']} ({one['ratio']:.2f}x) at {row['load']}"
        for row in rows
        for one in row["latencies"]
        if one["word"] in ("faster", "slower")
    ]
    return ", ".join(words) or "no difference in latency is shown"


def _place(row: Row) -> str:
    tokens = "SLO tokens" if row["load"] == CAPACITY else "tokens"
    return f"{row['workload']} at {row['load']} ({row['speedup']:.2f}x {tokens} per dollar)"


def _listed(places: list[str]) -> str:
    return places[0] if len(places) == 1 else f"{', '.join(places[:-1])} and {places[-1]}"


def notice(comparisons: Sequence[Row]) -> str:
    """What the number of pairs allows one to say; empty when there are enough."""
    pairs = min((len(row["pair_ratios"]) for row in comparisons), default=0)
    if pairs >= MINIMUM_PAIRS or not comparisons:
        return ""
    if pairs == 0:
        return "Some comparisons have no valid pair of blocks; the verdicts below say why."
    counted = {1: "One pair of blocks", 2: "Two pairs of blocks"}.get(pairs, f"{pairs} pairs of blocks")
    verb = "is" if pairs == 1 else "are"
    return (
        f"{counted} {verb} a look, not a proof: a machine's noise can be as large as the difference. "
        f"Raise `repeats` to {MINIMUM_PAIRS} or more for an interval."
    )
