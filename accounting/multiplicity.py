"""Several arms against one baseline: p-values that count how many questions were asked."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float], *, family: int | None = None) -> list[float]:
    """Adjusted p-values, in the order given (Holm 1979): below 5 % each, all hold together at 5 %.

    `family` is the number of comparisons that were planned, where some could not be made: those count as p = 1.

    Raises:
        ValueError: if a value is no probability, or the family is smaller than what is given.
    """
    size = len(p_values) if family is None else family
    if size < len(p_values):
        raise ValueError(f"{len(p_values)} p-values cannot come from a family of {size}")
    if any(not 0 <= p <= 1 for p in p_values):
        raise ValueError(f"p-values lie between 0 and 1, not {list(p_values)}")
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (size - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
